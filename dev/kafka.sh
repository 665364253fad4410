# shellcheck shell=bash
# Apache Kafka: one broker in KRaft mode, from the jars that dev/kafka/pom.xml names. Sourced by dev/services.

# Another version than the one that pom.xml names, for trying it out.
kafka_version=${FERROCONNECT_KAFKA_VERSION:-}

kafka_jars() {
  echo "$cache/kafka-$(sha256sum "$repo/dev/kafka/pom.xml" | cut -c1-12)${kafka_version:+-$kafka_version}"
}

kafka_install() {
  has java || apt_install "the Kafka broker" openjdk-17-jre-headless
  local jars
  jars=$(kafka_jars)
  if [[ -d $jars ]]; then return; fi
  has mvn || apt_install "fetching the Kafka broker" maven
  say kafka "fetching the broker's jars"
  local unfinished=$jars.new
  rm -rf "$unfinished"
  quietly mvn -B -q -f "$repo/dev/kafka/pom.xml" dependency:copy-dependencies \
    -DincludeScope=runtime -DoutputDirectory="$unfinished" ${kafka_version:+"-Dkafka.version=$kafka_version"}
  mv -T "$unfinished" "$jars"
}

kafka_java() {
  local class=$1
  shift
  # Tests are short, and one compiler tier starts fastest. A benchmark may want both.
  local options
  read -ra options <<<"${FERROCONNECT_KAFKA_JAVA_OPTS:--Xmx384m -XX:+UseSerialGC -XX:TieredStopAtLevel=1}"
  echo java
  printf '%s\n' "${options[@]}" "-Dlog4j.configuration=file:$repo/dev/kafka/log4j.properties" \
    -cp "$(kafka_jars)/*" "$class" "$@"
}

kafka_start() {
  if is_running kafka; then return; fi
  [[ -d $(kafka_jars) ]] && has java || die "Kafka is not installed: run dev/services install kafka"
  local dir=$state/kafka attempt
  mkdir -p "$dir"
  for attempt in 1 2 3; do
    if kafka_try; then return; fi
    # Another program may have taken the port between the look and the bind.
    grep -q 'Address already in use' "$dir/log" || break
    rm -f "$dir/port" "$dir/controller-port"
  done
  terminate kafka 1
  fail_with_log "$dir/log" "Kafka did not start (attempt $attempt)"
}

kafka_try() {
  local dir=$state/kafka port controller_port
  port=$(keep_port "$dir/port")
  controller_port=$(keep_port "$dir/controller-port")
  sed -e "s|@PORT@|$port|g" -e "s|@CONTROLLER_PORT@|$controller_port|g" -e "s|@DATA@|$dir/data|g" \
    "$repo/dev/kafka/server.properties" >"$dir/server.properties"

  local command
  if [[ ! -e $dir/data/meta.properties ]]; then
    # Any 16 bytes in URL-safe base64 are a cluster id.
    local cluster_id
    cluster_id=$(head -c 16 /dev/urandom | base64 | tr '+/' '-_' | tr -d =)
    mapfile -t command < <(kafka_java kafka.tools.StorageTool format -t "$cluster_id" -c "$dir/server.properties")
    "${command[@]}" >"$dir/log" 2>&1 || return 1
  fi
  mapfile -t command < <(kafka_java kafka.Kafka "$dir/server.properties")
  launch kafka "${command[@]}"
  wait_until kafka 60 grep -q 'Kafka Server started' "$dir/log" || return 1
  kafka_prime "$port"
  put_env kafka FERROCONNECT_TEST_KAFKA "127.0.0.1:$port"
}

# The first consumer group, transaction and idempotent producer of a new broker are told to come again later while it makes
# its internal topics, which costs clients seconds. Asking here once has that done before they come.
kafka_prime() {
  # Request headers without client id: FindCoordinator v1 for a group and for a transaction, InitProducerId v0.
  kafka_ask "$1" '\x00\x00\x00\x0e\x00\x0a\x00\x01\x00\x00\x00\x01\xff\xff\x00\x01x\x00'
  kafka_ask "$1" '\x00\x00\x00\x0e\x00\x0a\x00\x01\x00\x00\x00\x02\xff\xff\x00\x01x\x01'
  kafka_ask "$1" '\x00\x00\x00\x10\x00\x16\x00\x00\x00\x00\x00\x03\xff\xff\xff\xff\x00\x00\xea\x60'
}

# Sends one request and waits for the beginning of its answer.
kafka_ask() {
  # shellcheck disable=SC2059 # The request is the format: its escapes are the bytes.
  (exec 3<>"/dev/tcp/127.0.0.1/$1" && printf "$2" >&3 && timeout 5 head -c 4 <&3 >/dev/null) 2>/dev/null || true
}

kafka_stop() { terminate kafka 15; }

kafka_where() { echo "127.0.0.1:$(cat "$state/kafka/port")"; }
