//! Where connectors may connect to: the one guard for every host and URL that a connector's
//! configuration names.
//!
//! Link-local addresses and those at which clouds hand out credentials are denied in any case: a
//! connector must not fetch what belongs to the machine (CVE-2025-27817 and its like). Names are
//! checked when a configuration is validated, addresses once a name is resolved, so that a name that
//! resolves to a denied address is of no use.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use crate::config::{ConfigKey, ConfigType, Props};

/// Names by which clouds' metadata are called.
const METADATA_NAMES: [&str; 4] =
    ["metadata.google.internal", "metadata.goog", "instance-data", "metadata.azure.internal"];
/// Addresses of metadata outside the link-local ranges: AWS by IPv6, Alibaba, Oracle.
const METADATA_V6: Ipv6Addr = Ipv6Addr::new(0xfd00, 0xec2, 0, 0, 0, 0, 0, 0x254);
const METADATA_V4: [Ipv4Addr; 2] =
    [Ipv4Addr::new(100, 100, 100, 200), Ipv4Addr::new(192, 0, 0, 192)];

/// The guard.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Egress {
    /// Empty: everything that is not denied.
    allow: Vec<Place>,
    deny: Vec<Place>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum Place {
    /// A name.
    Host(String),
    /// What ends with this, a dot before it included.
    Domain(String),
    Network {
        address: IpAddr,
        bits: u8,
    },
}

impl Egress {
    /// Reads `egress.allow` and `egress.deny`: names, `*.domain`, addresses and networks
    /// (`10.0.0.0/8`).
    ///
    /// # Errors
    /// The setting and what cannot be read in it.
    pub fn parse(allow: &[String], deny: &[String]) -> Result<Self, String> {
        let read = |key: &str, texts: &[String]| {
            let texts = texts.iter().map(|text| text.trim()).filter(|text| !text.is_empty());
            texts
                .map(|text| {
                    Place::parse(text).ok_or_else(|| {
                        format!(
                            "the setting {key} is wrong: cannot read \"{text}\"; write a host, \
                             *.domain, an address or a network such as 10.0.0.0/8"
                        )
                    })
                })
                .collect::<Result<Vec<_>, _>>()
        };
        Ok(Self { allow: read("egress.allow", allow)?, deny: read("egress.deny", deny)? })
    }

    /// The worker's keys.
    pub fn keys() -> Vec<ConfigKey> {
        vec![
            ConfigKey::new(
                "egress.allow",
                ConfigType::List,
                "Hosts and networks that connectors may name; all but the denied ones when absent",
            )
            .default(""),
            ConfigKey::new(
                "egress.deny",
                ConfigType::List,
                "Hosts and networks that connectors may not name, beside link-local and metadata ones",
            )
            .default(""),
        ]
    }

    /// Why a connector may not name `host`, if it may not. A name that is not denied may still
    /// resolve to an address that is.
    pub fn refuses(&self, host: &str) -> Option<String> {
        let host = host.trim().trim_end_matches('.').to_ascii_lowercase();
        let bare = host.trim_start_matches('[').trim_end_matches(']');
        if let Ok(address) = bare.parse::<IpAddr>() {
            return self.refuses_address(bare, address);
        }
        let denied =
            METADATA_NAMES.contains(&bare) || self.deny.iter().any(|place| place.is_name(bare));
        if denied {
            return Some(refusal(bare));
        }
        let only_names = !self.allow.iter().any(|place| matches!(place, Place::Network { .. }));
        let allowed = self.allow.is_empty() || self.allow.iter().any(|place| place.is_name(bare));
        // Networks that are allowed can only be judged once the name is resolved.
        (!allowed && only_names).then(|| refusal(bare))
    }

    /// Why a connector may not connect to `address`, which is what `host` resolved to.
    pub fn refuses_address(&self, host: &str, address: IpAddr) -> Option<String> {
        let host = host.to_ascii_lowercase();
        let host = host.trim_end_matches('.');
        let address = plain(address);
        let denied = is_link_local(address)
            || is_metadata(address)
            || self.deny.iter().any(|place| place.holds(address));
        let allowed = self.allow.is_empty()
            || self.allow.iter().any(|place| place.holds(address) || place.is_name(host));
        (denied || !allowed).then(|| refusal(host))
    }

    /// The first key of a connector's configuration whose hosts are refused, and why.
    pub fn refused_key(&self, config: &Props) -> Option<(String, String)> {
        config.iter().find_map(|(key, value)| {
            let why = hosts(key, value).into_iter().find_map(|host| self.refuses(&host))?;
            Some((key.clone(), why))
        })
    }
}

fn refusal(host: &str) -> String {
    format!(
        "connectors may not connect to \"{host}\": see egress.allow and egress.deny of the worker"
    )
}

/// The IPv4 address where an IPv6 one stands for it: mapped, or translated by NAT64 (RFC 6052).
fn plain(address: IpAddr) -> IpAddr {
    const NAT64: [u16; 6] = [0x64, 0xff9b, 0, 0, 0, 0];
    match address.to_canonical() {
        IpAddr::V6(v6) if v6.segments().starts_with(&NAT64) => {
            let [.., a, b, c, d] = v6.octets();
            Ipv4Addr::new(a, b, c, d).into()
        }
        address => address,
    }
}

fn is_link_local(address: IpAddr) -> bool {
    match address {
        IpAddr::V4(address) => address.is_link_local(),
        IpAddr::V6(address) => address.is_unicast_link_local(),
    }
}

fn is_metadata(address: IpAddr) -> bool {
    match address {
        IpAddr::V4(address) => METADATA_V4.contains(&address),
        IpAddr::V6(address) => address == METADATA_V6,
    }
}

impl Place {
    fn parse(text: &str) -> Option<Self> {
        let text = text.to_ascii_lowercase();
        if let Some(domain) = text.strip_prefix('*') {
            let fine = domain.starts_with('.') && domain.len() > 1;
            return fine.then(|| Self::Domain(domain.to_owned()));
        }
        if let Some((address, bits)) = text.split_once('/') {
            let (address, bits) = (address.parse::<IpAddr>().ok()?, bits.parse::<u8>().ok()?);
            let most = if address.is_ipv4() { 32 } else { 128 };
            return (bits <= most).then_some(Self::Network { address, bits });
        }
        let bare = text.trim_start_matches('[').trim_end_matches(']');
        if let Ok(address) = bare.parse::<IpAddr>() {
            let bits = if address.is_ipv4() { 32 } else { 128 };
            return Some(Self::Network { address, bits });
        }
        let named = |c: char| c.is_alphanumeric() || matches!(c, '-' | '.' | '_');
        text.chars().all(named).then_some(Self::Host(text))
    }

    fn is_name(&self, host: &str) -> bool {
        match self {
            Self::Host(name) => name == host,
            Self::Domain(domain) => host.ends_with(domain.as_str()),
            Self::Network { .. } => false,
        }
    }

    fn holds(&self, address: IpAddr) -> bool {
        let Self::Network { address: network, bits } = self else { return false };
        let same = |a: u128, b: u128, width: u8| {
            let shift = u32::from(width - bits);
            a.checked_shr(shift).unwrap_or(0) == b.checked_shr(shift).unwrap_or(0)
        };
        match (network, address) {
            (IpAddr::V4(network), IpAddr::V4(address)) => {
                same(u32::from(*network).into(), u32::from(address).into(), 32)
            }
            (IpAddr::V6(network), IpAddr::V6(address)) => {
                same(u128::from(*network), u128::from(address), 128)
            }
            _ => false,
        }
    }
}

/// The hosts that a key's value names: those of URLs, and of keys that are hosts.
fn hosts(key: &str, value: &str) -> Vec<String> {
    const HOST_KEYS: [&str; 4] = ["hostname", "host", "hostnames", "hosts"];
    let last = key.rsplit('.').next().unwrap_or(key);
    let is_servers = key.ends_with("bootstrap.servers");
    let mut found = Vec::new();
    for item in value.split(',').map(str::trim) {
        if let Some((scheme, rest)) = item.split_once("://") {
            // A jdbc: URL has another scheme before its own.
            if scheme
                .chars()
                .all(|c| c.is_ascii_alphanumeric() || matches!(c, '+' | '-' | '.' | ':'))
            {
                found.extend(host_of(rest));
            }
        } else if is_servers || HOST_KEYS.contains(&last) {
            found.extend(host_of(item));
        }
    }
    found
}

/// `[user@]HOST[:port][/...]`
fn host_of(text: &str) -> Option<String> {
    let authority = text.split(['/', '?', '#', '\\']).next().unwrap_or_default();
    let place = authority.rsplit('@').next().unwrap_or_default();
    let host = match place.strip_prefix('[') {
        Some(rest) => rest.split(']').next().unwrap_or_default(),
        None if place.parse::<Ipv6Addr>().is_ok() => place,
        None => place.split(':').next().unwrap_or_default(),
    };
    if host.is_empty() {
        return None;
    }
    Some(plain_address(host).unwrap_or_else(|| host.to_owned()))
}

/// Other spellings of an IPv4 address that resolvers take: `2852039166`, `0xa9fea9fe`,
/// `0251.0376.0251.0376`, `169.254.43518`.
fn plain_address(host: &str) -> Option<String> {
    let parts = host.split('.').map(|part| {
        let lower = part.to_ascii_lowercase();
        match lower.strip_prefix("0x") {
            Some(hex) => u64::from_str_radix(hex, 16).ok(),
            None if lower.len() > 1 && lower.starts_with('0') => {
                u64::from_str_radix(&lower, 8).ok()
            }
            None => lower.parse().ok(),
        }
    });
    let parts: Vec<u64> = parts.collect::<Option<_>>()?;
    let (last, firsts) = parts.split_last()?;
    if firsts.len() > 3 || firsts.iter().any(|part| *part > 255) {
        return None;
    }
    let room = 8 * (4 - u32::try_from(firsts.len()).ok()?);
    if *last >= 1u64 << room {
        return None;
    }
    let mut number = *last;
    for (index, part) in firsts.iter().enumerate() {
        number |= part << (24 - 8 * index);
    }
    Some(Ipv4Addr::from(u32::try_from(number).ok()?).to_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn egress(allow: &str, deny: &str) -> Egress {
        let list = |text: &str| text.split(',').map(str::to_owned).collect::<Vec<_>>();
        Egress::parse(&list(allow), &list(deny)).unwrap()
    }

    #[test]
    fn metadata_and_link_local_addresses_are_denied_however_they_are_written() {
        let open = egress("", "");
        for (key, value, refused) in [
            ("store.url", "http://169.254.169.254/latest", true),
            ("store.url", "http://2852039166/", true),
            ("store.url", "http://0xa9fea9fe/", true),
            ("store.url", "http://0251.0376.0251.0376/", true),
            ("store.url", "http://169.254.43518/", true),
            ("store.url", "http://u:p@169.254.169.254:80", true),
            ("store.url", "http://[::ffff:169.254.169.254]/", true),
            ("store.url", "http://[64:ff9b::a9fe:a9fe]/", true),
            ("store.url", "http://[fd00:ec2::254]/", true),
            ("store.url", "http://[fe80::1]/", true),
            ("store.url", "HTTP://Metadata.Google.Internal./computeMetadata", true),
            ("store.url", "http://100.100.100.200/", true),
            ("database.hostname", "169.254.169.254", true),
            ("value.converter.schema.registry.url", "http://a:1,http://169.254.1.1:2", true),
            ("producer.override.bootstrap.servers", "a:9092,169.254.1.1:9092", true),
            ("store.url", "http://minio:9000", false),
            ("store.url", "http://127.0.0.1:9000", false),
            ("store.url", "http://10.0.0.1", false),
            ("database.hostname", "postgres", false),
            ("database.hostname", "::1", false),
            ("topic.prefix", "169.254.169.254", false),
            ("s3.bucket.name", "b", false),
        ] {
            let config = Props::from([(key.to_owned(), value.to_owned())]);
            let found = open.refused_key(&config);
            assert_eq!(found.is_some(), refused, "{key}={value}: {found:?}");
        }
    }

    #[test]
    fn a_name_is_judged_by_what_it_resolves_to() {
        let address = |text: &str| text.parse::<IpAddr>().unwrap();
        let open = egress("", "");
        assert!(open.refuses("rebind.example").is_none());
        assert!(open.refuses_address("rebind.example", address("169.254.169.254")).is_some());
        assert!(open.refuses_address("rebind.example", address("::ffff:169.254.0.1")).is_some());
        assert!(open.refuses_address("db", address("192.168.0.1")).is_none());
        let some = egress("*.corp.example, 10.0.0.0/8", "10.1.0.0/16, bad.corp.example");
        for (host, resolved, fine) in [
            ("db.corp.example", "8.8.8.8", true),
            ("DB.corp.example.", "8.8.8.8", true),
            ("corp.example", "8.8.8.8", false),
            ("bad.corp.example", "10.0.0.1", false),
            ("db", "10.0.0.1", true),
            ("db", "10.1.0.1", false),
            ("db.corp.example", "10.1.0.1", false),
            ("db", "11.0.0.1", false),
        ] {
            let refused =
                some.refuses(host).or_else(|| some.refuses_address(host, address(resolved)));
            assert_eq!(refused.is_none(), fine, "{host} {resolved}");
        }
        let names = egress("db", "");
        assert!(names.refuses("other").is_some());
        assert!(names.refuses("DB").is_none());
    }

    #[test]
    fn what_cannot_be_read_is_named() {
        for wrong in ["10.0.0.0/33", "*", "a b", "*.", "http://x"] {
            let error = Egress::parse(&[wrong.to_owned()], &[]).unwrap_err();
            assert!(error.contains("egress.allow") && error.contains(wrong), "{error}");
        }
    }
}
