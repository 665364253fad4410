# shellcheck shell=bash
# What cargo needs besides Rust: a C compiler and the headers that librdkafka and aws-lc build with. Sourced by dev/services.

toolchain_install() {
  has cargo || die "Rust is missing: install it (rustup, or your distribution's rustc and cargo) and run this again"
  local missing=()
  has cc && has c++ && has make || missing+=(build-essential)
  has cmake || missing+=(cmake)
  has pkg-config || missing+=(pkg-config)
  has curl || missing+=(curl)
  has jq || missing+=(jq)
  # Asked of pkg-config only once it is there; until then the packages are taken along.
  if ! has pkg-config || ! pkg-config --exists openssl; then missing+=(libssl-dev); fi
  if ! has pkg-config || ! pkg-config --exists zlib; then missing+=(zlib1g-dev); fi
  if ((${#missing[@]})); then apt_install "building and the demo" "${missing[@]}"; fi
}
