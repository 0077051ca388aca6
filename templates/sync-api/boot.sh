# ---- the API: its code is in the image, what it must know is written here

configuration() {
  cat << END
DATABASE_HOST=$DATABASE_HOST
DATABASE_NAME=$DATABASE_NAME
DATABASE_SECRET_ARN=$DATABASE_SECRET
DATABASE_POOL_SIZE=$POOL_SIZE
LISTEN_PORT=$PORT
LOGSTASH_URL=$LOGSTASH_URL
LOG_GROUP=$LOG_GROUP
INSTANCE_ID=$INSTANCE
END
}

is_healthy() {
  [ "$(curl -s -o /dev/null -m 5 -w '%{http_code}' "http://127.0.0.1:$PORT$HEALTH_PATH")" = 200 ]
}

# The password is not written down: the service asks Secrets Manager for it, and again when it has changed.
sync_api() {
  identify
  trap 'signal 1 "the API did not come up; /var/log/cloud-init-output.log of $INSTANCE says why"' ERR
  command -v cfn-signal > /dev/null || retry 5 10 dnf install -y -q aws-cfn-bootstrap
  (umask 027 && configuration > /etc/sync-api.env)
  mkdir -p /etc/systemd/system/sync-api.service.d
  printf '[Service]\nEnvironmentFile=/etc/sync-api.env\nRestart=always\nRestartSec=5\n' > /etc/systemd/system/sync-api.service.d/greenroom.conf
  systemctl daemon-reload
  systemctl enable --quiet sync-api
  systemctl restart sync-api
  # As long as CloudFormation waits.
  retry $((BOOT_MINUTES * 12)) 5 is_healthy
  signal 0 'the API answers'
}
