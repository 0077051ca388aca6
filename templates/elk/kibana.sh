# ---- Kibana, and what the cluster is told once: users, retention, snapshots. Told again it is the same.

settings() {
  cat << END
server.name: $INSTANCE
server.host: 0.0.0.0
server.publicBaseUrl: https://$NAME
elasticsearch.hosts: ["https://$NAME:9200"]
elasticsearch.username: kibana_system
END
}

# ask METHOD PATH [BODY]
ask() {
  printf '%s' "${3:-}" | curl -sSf -m 60 -K /etc/elk-curl -X "$1" "https://$NAME:9200/$2" -o /dev/null ${3:+-H 'content-type: application/json' -d @-}
}

tell_cluster() {
  local kibana logstash
  kibana=$(secret "$KIBANA_SECRET")
  logstash=$(secret "$LOGSTASH_SECRET")
  ask GET '_cluster/health?wait_for_status=yellow&timeout=50s' &&
  ask POST _security/user/kibana_system/_password "{\"password\": \"$kibana\"}" &&
  ask PUT _security/role/logstash_writer '{"cluster": ["monitor"], "indices": [{"names": ["elb-*", "app-*"], "privileges": ["create", "create_index", "auto_configure"]}]}' &&
  ask PUT _security/user/logstash_writer "{\"password\": \"$logstash\", \"roles\": [\"logstash_writer\"]}" &&
  ask PUT _ilm/policy/elb "{\"policy\": {\"phases\": {\"hot\": {\"actions\": {}}, \"delete\": {\"min_age\": \"${INDEX_DAYS}d\", \"actions\": {\"delete\": {}}}}}}" &&
  ask PUT _index_template/elb "{\"index_patterns\": [\"elb-*\", \"app-*\"], \"template\": {\"settings\": {\"index.lifecycle.name\": \"elb\", \"number_of_replicas\": $REPLICAS}}}" &&
  ask PUT _snapshot/s3 "{\"type\": \"s3\", \"settings\": {\"bucket\": \"$SNAPSHOT_BUCKET\"}}" &&
  ask PUT _slm/policy/nightly "{\"schedule\": \"0 30 1 * * ?\", \"name\": \"<nightly-{now/d}>\", \"repository\": \"s3\", \"retention\": {\"expire_after\": \"${SNAPSHOT_DAYS}d\", \"min_count\": 3}}"
}

kibana() {
  local password
  identify
  trap 'signal 1 "kibana did not come up; /var/log/cloud-init-output.log of $INSTANCE says why"' ERR
  retry 5 10 dnf install -y -q jq aws-cfn-bootstrap
  install_package kibana
  settings > /etc/kibana/kibana.yml
  secret "$KIBANA_SECRET" | tr -d '\n' | /usr/share/kibana/bin/kibana-keystore add -x elasticsearch.password
  secret "$ENCRYPTION_SECRET" | tr -d '\n' | /usr/share/kibana/bin/kibana-keystore add -x xpack.encryptedSavedObjects.encryptionKey
  systemctl enable --quiet --now kibana
  retry 60 5 answers http://127.0.0.1:5601/
  signal 0 'kibana answers'
  trap - ERR
  password=$(secret "$ELASTIC_SECRET")
  (umask 077 && printf 'user = "elastic:%s"\n' "$password" > /etc/elk-curl)
  retry 120 15 tell_cluster
}
