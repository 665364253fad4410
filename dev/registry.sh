# shellcheck shell=bash
# A Schema Registry that nobody here wrote: Apicurio Registry, which speaks Confluent's API. Sourced by dev/services.

registry_version=2.6.13.Final

registry_home() { echo "$cache/registry-$registry_version"; }

registry_install() {
  has java || apt_install "the schema registry" openjdk-17-jre-headless
  local home
  home=$(registry_home)
  if [[ -d $home ]]; then return; fi
  has mvn || apt_install "fetching the schema registry" maven
  say registry "fetching Apicurio Registry $registry_version (142 MB)"
  local unfinished=$home.new
  rm -rf "$unfinished"
  mkdir -p "$unfinished"
  # The program as it is released, with all its jars; nothing is resolved beside it.
  quietly mvn -B -q org.apache.maven.plugins:maven-dependency-plugin:3.8.1:copy \
    -Dartifact="io.apicurio:apicurio-registry-app:$registry_version:tar.gz:all" -DoutputDirectory="$unfinished"
  quietly tar -xzf "$unfinished/apicurio-registry-app-$registry_version-all.tar.gz" -C "$unfinished"
  rm "$unfinished/apicurio-registry-app-$registry_version-all.tar.gz"
  mv -T "$unfinished" "$home"
}

registry_start() {
  if is_running registry; then return; fi
  local dir=$state/registry port url
  [[ -d $(registry_home) ]] && has java || die "the schema registry is not installed: run dev/services install registry"
  mkdir -p "$dir"
  port=$(keep_port "$dir/port")
  url=http://127.0.0.1:$port/apis/ccompat/v7
  # Its schemas live in its memory. One compiler tier starts fastest.
  QUARKUS_HTTP_HOST=127.0.0.1 QUARKUS_HTTP_PORT=$port ENABLE_ACCESS_LOG=false \
    launch registry java -Xmx384m -XX:+UseSerialGC -XX:TieredStopAtLevel=1 \
    -jar "$(registry_home)/apicurio-registry-app-$registry_version-runner.jar"
  if ! wait_until registry 90 curl --silent --fail --output /dev/null "$url/subjects"; then
    terminate registry 1
    fail_with_log "$dir/log" "the schema registry did not start"
  fi
  put_env registry FERROCONNECT_TEST_REGISTRY "$url"
}

registry_stop() { terminate registry 5; }

registry_where() { echo "127.0.0.1:$(cat "$state/registry/port")"; }
