# ---- Elastic's packages, by version and checksum

# install_package elasticsearch | logstash | kibana
install_package() {
  local file
  # Not /tmp, which is memory.
  cd /var/tmp
  file=$1-$VERSION-$(uname -m).rpm
  retry 5 10 curl -sSfL -o "$file" "$ARTIFACTS/$1/$file"
  retry 5 10 curl -sSfL -o "$file.sha512" "$ARTIFACTS/$1/$file.sha512"
  sha512sum --check --quiet "$file.sha512"
  retry 5 10 dnf install -y -q "./$file"
  rm "$file" "$file.sha512"
  cd /
}
