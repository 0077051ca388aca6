# ---- Logstash: one way in, one way out, and a queue on disk between them

# A repeat has the id of the first and is dropped with a 409; the day comes from the event, so that it meets its first.
# What has no id, an application's own lines, gets one here: else all of them would be repeats of the first.
pipeline() {
  cat << 'END'
input {
  http {
    port => 8080
    codec => json
    max_pending_requests => 200
  }
}
filter {
  mutate {
    remove_field => ["host", "http", "url", "user_agent", "event"]
    add_field => { "[@metadata][index]" => "elb" }
  }
  if ![event_id] {
    uuid { target => "event_id" }
    mutate { replace => { "[@metadata][index]" => "app" } }
  }
}
output {
  elasticsearch {
    hosts => ["https://${ELK_NAME}:9200"]
    user => "logstash_writer"
    password => "${LOGSTASH_PASSWORD}"
    index => "%{[@metadata][index]}-%{+YYYY.MM.dd}"
    document_id => "%{event_id}"
    action => "create"
    ilm_enabled => false
    manage_template => false
  }
}
END
}

settings() {
  cat << END
node.name: $INSTANCE
path.data: /var/lib/logstash
path.logs: /var/log/logstash
queue.type: persisted
queue.max_bytes: ${QUEUE_GIB}gb
dead_letter_queue.enable: true
api.http.host: 0.0.0.0
api.http.port: 9600
END
}

logstash() {
  local password
  identify
  trap 'signal 1 "logstash did not come up; /var/log/cloud-init-output.log of $INSTANCE says why"' ERR
  retry 5 10 dnf install -y -q jq aws-cfn-bootstrap
  install_package logstash
  settings > /etc/logstash/logstash.yml
  pipeline > /etc/logstash/conf.d/elb.conf
  password=$(secret "$LOGSTASH_SECRET")
  (umask 077 && printf 'ELK_NAME=%s\nLOGSTASH_PASSWORD=%s\n' "$NAME" "$password" > /etc/elk-logstash)
  mkdir -p /etc/systemd/system/logstash.service.d
  printf '[Service]\nEnvironmentFile=/etc/elk-logstash\nRestart=always\nRestartSec=10\n' > /etc/systemd/system/logstash.service.d/greenroom.conf
  systemctl daemon-reload
  systemctl enable --quiet --now logstash
  # A request would become an event.
  retry 60 5 listens 8080
  signal 0 'logstash answers'
}
