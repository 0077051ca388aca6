# ---- every machine: what it is, trying again, telling CloudFormation

say() { echo "boot: $*" >&2; }

# retry TIMES SECONDS COMMAND…
retry() {
  local times=$1 pause=$2 turn
  shift 2
  for ((turn = 1; turn <= times; turn++)); do
    if "$@"; then return 0; fi
    say "try $turn of $times failed: $1"
    sleep "$pause"
  done
  return 1
}

metadata() {
  curl -sSf -H "X-aws-ec2-metadata-token: $TOKEN" "http://169.254.169.254/latest/meta-data/$1"
}

identify() {
  TOKEN=$(curl -sSf -X PUT -H 'X-aws-ec2-metadata-token-ttl-seconds: 3600' http://169.254.169.254/latest/api/token)
  INSTANCE=$(metadata instance-id)
  ADDRESS=$(metadata local-ipv4)
  ZONE=$(metadata placement/availability-zone)
  say "this is $INSTANCE at $ADDRESS in $ZONE"
}

# The creation signal means that the process answers; that others answer too is nobody's promise here. Most instances are started
# when no stack waits (a replacement, a scaling group that grows): then the signal is refused, and that ends no boot.
signal() {
  retry 3 10 cfn-signal --exit-code "$1" --reason "$2" --id "$INSTANCE" --stack "$STACK" --resource "$RESOURCE" --region "$REGION" ||
    say "nobody waits for a signal"
}

# Something listens on this port of ours; nothing is sent to it.
listens() {
  (: < "/dev/tcp/127.0.0.1/$1") 2> /dev/null
}

# Any answer counts: "who are you" is one.
answers() {
  [ "$(curl -sk -o /dev/null -m 5 -w '%{http_code}' "$1")" != 000 ]
}

secret() {
  retry 10 6 aws secretsmanager get-secret-value --region "$REGION" --secret-id "$1" --query SecretString --output text
}
