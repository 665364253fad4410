//! `network.resolve`: names of one network posted in another.

use std::collections::BTreeMap;
use std::net::IpAddr;

use crate::config::{Egress, Props};

/// Maps `host:port` or `host` to another address, like curl's `--connect-to`: files written for a
/// compose network (`postgres`, `minio`) can be posted unchanged elsewhere.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct HostMap {
    entries: BTreeMap<(String, Option<u16>), (String, Option<u16>)>,
    egress: Egress,
}

impl HostMap {
    /// Parses `host[:port]=address[:port]`, comma-separated.
    ///
    /// # Errors
    /// The text to show: which entry cannot be read, and the form that is expected.
    pub fn parse(text: &str) -> Result<Self, String> {
        let mut entries = BTreeMap::new();
        for entry in text.split(',').map(str::trim).filter(|entry| !entry.is_empty()) {
            let parsed = entry
                .split_once('=')
                .and_then(|(from, to)| Some((host_and_port(from)?, host_and_port(to)?)));
            let Some((from, to)) = parsed else {
                return Err(format!(
                    "network.resolve: cannot read \"{entry}\"; write host[:port]=address[:port]"
                ));
            };
            entries.insert(from, to);
        }
        Ok(Self { entries, egress: Egress::default() })
    }

    /// The same map with a guard over what may be connected to.
    #[must_use]
    pub fn guarded(self, egress: Egress) -> Self {
        Self { egress, ..self }
    }

    /// Why a connector may not connect to `host`, whose address is `address`, if it may not.
    pub fn refuses(&self, host: &str, address: IpAddr) -> Option<String> {
        // Where `network.resolve` leads is the operator's choice, not the connector's.
        let mapped = |(from, to): (&(String, _), &(String, _))| from.0 == host || to.0 == host;
        if self.entries.iter().any(mapped) {
            return None;
        }
        self.egress.refuses(host).or_else(|| self.egress.refuses_address(host, address))
    }

    /// The first key of a connector's configuration that names a host that is refused, and why.
    pub fn refused_key(&self, config: &Props) -> Option<(String, String)> {
        self.egress.refused_key(config)
    }

    /// Where to connect for `host:port`: an entry with the port wins over one without.
    pub fn resolve(&self, host: &str, port: u16) -> (String, u16) {
        let exact = self.entries.get(&(host.to_owned(), Some(port)));
        let target = exact.or_else(|| self.entries.get(&(host.to_owned(), None)));
        match target {
            Some((address, to_port)) => (address.clone(), to_port.unwrap_or(port)),
            None => (host.to_owned(), port),
        }
    }
}

fn host_and_port(text: &str) -> Option<(String, Option<u16>)> {
    let text = text.trim();
    let (host, port) = match text.rsplit_once(':') {
        Some((host, port)) => (host, Some(port.parse().ok()?)),
        None => (text, None),
    };
    (!host.is_empty()).then(|| (host.to_owned(), port))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_entry_with_the_port_wins() {
        let map = HostMap::parse("db=10.0.0.1, db:5432=127.0.0.1:15432").unwrap();
        assert_eq!(map.resolve("db", 5432), ("127.0.0.1".to_owned(), 15432));
        assert_eq!(map.resolve("db", 5433), ("10.0.0.1".to_owned(), 5433));
        assert_eq!(map.resolve("other", 1), ("other".to_owned(), 1));
    }

    #[test]
    fn an_unreadable_entry_is_named() {
        for text in ["db", "db:x=1.2.3.4", "=x"] {
            assert!(HostMap::parse(text).unwrap_err().contains(text));
        }
    }
}
