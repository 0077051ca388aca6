# ---- Elasticsearch: who the others are, and whether this is the first formation

SETTINGS=/etc/elasticsearch
COMMANDS=/usr/local/sbin

# Id and address of every master, a line each.
masters() {
  aws ec2 describe-instances --region "$REGION" --output text \
    --filters "Name=tag:aws:cloudformation:stack-id,Values=$STACK_ID" Name=tag:elk-role,Values=master \
    Name=instance-state-name,Values=pending,running \
    --query 'Reservations[].Instances[].[InstanceId,PrivateIpAddress]' | sort
}

# Elasticsearch reads this file whenever it looks for others. An empty answer is no reason to forget them.
write_seeds() {
  local found
  found=$(masters | cut -f 2)
  [ -n "$found" ] || return 1
  echo "$found" > "$SETTINGS/.seeds"
  mv "$SETTINGS/.seeds" "$SETTINGS/unicast_hosts.txt"
}

FORMATION=/greenroom/elk/$(basename "$STACK_ID")/formation

recorded_formation() {
  aws ssm get-parameter --region "$REGION" --name "$FORMATION" --query Parameter.Value --output text 2> /dev/null
}

# The masters of the first formation, separated by commas. They are written down once, by whoever sees them all first: the service
# takes the name once, so there is one list however many write. Ids are never used again, so a replacement is not on it, whatever it
# was started with, and can only join.
formation() {
  local known all
  if known=$(recorded_formation); then echo "$known" && return 0; fi
  all=$(masters | cut -f 1)
  [ "$(wc -w <<< "$all")" -ge "$MASTERS" ] || return 1
  aws ssm put-parameter --region "$REGION" --name "$FORMATION" --type String --value "$(paste -sd , <<< "$all")" > /dev/null 2>&1 || true
  recorded_formation
}

is_among() {
  case ",${2// /}," in *",$1,"*) return 0 ;; *) return 1 ;; esac
}

configuration() {
  cat << END
cluster.name: $CLUSTER
node.name: $INSTANCE
node.roles: [$ROLES]
node.attr.zone: $ZONE
cluster.routing.allocation.awareness.attributes: zone
network.host: $ADDRESS
http.port: 9200
transport.port: 9300
path.data: /var/lib/elasticsearch
path.logs: /var/log/elasticsearch
bootstrap.memory_lock: true
xpack.security.enabled: true
xpack.security.transport.ssl.enabled: true
xpack.security.transport.ssl.verification_mode: full
xpack.security.transport.ssl.certificate: node.crt
xpack.security.transport.ssl.key: node.key
xpack.security.transport.ssl.certificate_authorities: [ca.crt]
xpack.security.http.ssl.enabled: true
xpack.security.http.ssl.certificate: node.crt
xpack.security.http.ssl.key: node.key
s3.client.default.region: $REGION
END
  if [ "$TOPOLOGY" = single ]; then
    echo 'discovery.type: single-node'
    return
  fi
  echo 'discovery.seed_providers: file'
  if is_among master "$ROLES" && is_among "$INSTANCE" "$FORMED_BY"; then
    echo "cluster.initial_master_nodes: [$FORMED_BY]"
  fi
}

# Before every start: a replacement that carries the first formation's setting and cannot find the others would form a second
# cluster, beside the one that has the data.
check_configuration() {
  local named
  named=$(sed -n 's/^cluster\.initial_master_nodes: *\[\(.*\)\]$/\1/p' "$1")
  if [ -n "$named" ] && ! is_among "$INSTANCE" "$named"; then
    say "refused: cluster.initial_master_nodes names $named, and this is $INSTANCE, a replacement: take the line out of $1"
    return 1
  fi
}

# The disk for data: one that nothing is on, be it a volume or the instance's own.
blank_disk() {
  lsblk -rpno NAME,TYPE,PKNAME,FSTYPE | awk -F'[ ]' '
    $2 == "disk" && $4 == "" { blank[$1] = 1 }
    $3 != "" { delete blank[$3] }
    END { for (name in blank) print name }' | sort | head -n 1
}

prepare_disk() {
  local disk
  disk=$(blank_disk)
  if [ -z "$disk" ]; then
    is_among data "$ROLES" || return 0
    say 'there is no blank disk for data, and the root volume is not for them'
    return 1
  fi
  mkfs.xfs -q "$disk"
  echo "UUID=$(blkid -s UUID -o value "$disk") /var/lib/elasticsearch xfs defaults,noatime,nofail 0 2" >> /etc/fstab
  mount /var/lib/elasticsearch
  chown elasticsearch:elasticsearch /var/lib/elasticsearch
}

# A certificate of its own, from the authority in the secret; the authority's key does not stay.
certificates() {
  local authority
  authority=$(secret "$CA_SECRET")
  (
    umask 077
    jq -r .certificate <<< "$authority" > /tmp/ca.crt
    jq -r .private_key <<< "$authority" > /tmp/ca.key
    /usr/share/elasticsearch/bin/elasticsearch-certutil cert --silent --pem --ca-cert /tmp/ca.crt --ca-key /tmp/ca.key \
      --name node --ip "$ADDRESS" --dns "$(hostname -f)" --out /tmp/node.zip
    unzip -q -j -o /tmp/node.zip -d "$SETTINGS"
    mv /tmp/ca.crt "$SETTINGS/ca.crt"
    rm -f /tmp/ca.key /tmp/node.zip
  )
}

# A fresh keystore: the package makes one with passwords for certificates of its own.
keystore() {
  local tool=/usr/share/elasticsearch/bin/elasticsearch-keystore
  rm -f "$SETTINGS/elasticsearch.keystore"
  $tool create > /dev/null
  secret "$ELASTIC_SECRET" | $tool add -x bootstrap.password
}

# A command that lives on as a script of its own: install_command NAME FUNCTION… ; the last function is called.
install_command() {
  local name=$1
  shift
  {
    echo '#!/bin/bash'
    echo 'set -euo pipefail'
    declare -p REGION STACK STACK_ID INSTANCE ADDRESS SETTINGS NAMESPACE
    declare -f say is_among "$@"
    echo "${@: -1}" '"$@"'
  } > "$COMMANDS/$name"
  chmod 755 "$COMMANDS/$name"
}

every_minute() {
  printf '[Service]\nType=oneshot\nExecStart=%s\n' "$COMMANDS/$1" > "/etc/systemd/system/$1.service"
  printf '[Timer]\nOnBootSec=60\nOnUnitActiveSec=60\n[Install]\nWantedBy=timers.target\n' > "/etc/systemd/system/$1.timer"
  systemctl daemon-reload
  systemctl enable --quiet --now "$1.timer"
}

# Disk and heap of this node, and the cluster's health as a number: 0 green, 1 yellow, 2 red.
measure() {
  local disk heap health
  ask() { curl -sSf -m 20 -K /etc/elk/curl "https://$ADDRESS:9200/$1"; }
  disk=$(df --output=pcent /var/lib/elasticsearch | tr -dc 0-9)
  heap=$(ask _nodes/_local/stats/jvm | jq '[.nodes[].jvm.mem.heap_used_percent][0]')
  health=$(ask _cluster/health | jq '{green: 0, yellow: 1, red: 2}[.status]')
  aws cloudwatch put-metric-data --region "$REGION" --namespace "$NAMESPACE" --metric-data \
    "MetricName=DiskUsedPercent,Dimensions=[{Name=Stack,Value=$STACK}],Value=$disk" \
    "MetricName=HeapUsedPercent,Dimensions=[{Name=Stack,Value=$STACK}],Value=$heap" \
    "MetricName=Health,Dimensions=[{Name=Stack,Value=$STACK}],Value=$health"
}

# Once there is a cluster, nothing that starts here later may think of forming one.
forget_formation() {
  local uuid
  uuid=$(curl -sSf -m 10 -K /etc/elk/curl "https://$ADDRESS:9200/" | jq -r .cluster_uuid)
  if [ -z "$uuid" ] || [ "$uuid" = _na_ ]; then return 1; fi
  sed -i '/^cluster\.initial_master_nodes:/d' "$SETTINGS/elasticsearch.yml"
}

elasticsearch() {
  local password
  identify
  trap 'signal 1 "elasticsearch did not come up; /var/log/cloud-init-output.log of $INSTANCE says why"' ERR
  retry 5 10 dnf install -y -q jq unzip aws-cfn-bootstrap
  install_package elasticsearch
  prepare_disk
  FORMED_BY=
  if [ "$TOPOLOGY" = cluster ]; then
    retry 60 10 write_seeds
    if is_among master "$ROLES"; then FORMED_BY=$(retry 90 10 formation); fi
    install_command elk-seeds masters write_seeds
    every_minute elk-seeds
  fi
  certificates
  keystore
  configuration > "$SETTINGS/elasticsearch.yml"
  chown -R root:elasticsearch "$SETTINGS"
  chmod -R g+rX "$SETTINGS"
  install_command elk-check check_configuration
  mkdir -p /etc/systemd/system/elasticsearch.service.d /etc/elk
  cat > /etc/systemd/system/elasticsearch.service.d/greenroom.conf << END
[Unit]
RequiresMountsFor=/var/lib/elasticsearch
[Service]
LimitMEMLOCK=infinity
Restart=on-failure
RestartSec=10
ExecStartPre=$COMMANDS/elk-check $SETTINGS/elasticsearch.yml
END
  password=$(secret "$ELASTIC_SECRET")
  (umask 077 && printf 'user = "elastic:%s"\ncacert = "%s/ca.crt"\n' "$password" "$SETTINGS" > /etc/elk/curl)
  systemctl daemon-reload
  systemctl enable --quiet --now elasticsearch
  retry 60 5 answers "https://$ADDRESS:9200/"
  signal 0 'elasticsearch answers'
  trap - ERR
  install_command elk-measure measure
  every_minute elk-measure
  retry 120 15 forget_formation
}
