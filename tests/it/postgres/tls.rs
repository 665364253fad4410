//! TLS from `disable` to `verify-full`, client certificates, and SCRAM, against a server that has them.

use std::path::{Path, PathBuf};
use std::process::Command;

use ferroconnect::config::Props;
use ferroconnect::connector::{ConnectorContext, postgres};

use super::source::{Source, config_of, short};
use crate::support::{OwnServer, unique};

/// An authority, a server's certificate for `localhost`, and one of the role `tls_user`.
struct Certificates {
    folder: PathBuf,
}

impl Certificates {
    fn make() -> Self {
        let folder = PathBuf::from("/var/tmp").join(unique("certificates"));
        std::fs::create_dir(&folder).unwrap();
        let made = Self { folder };
        made.run(
            "openssl req -x509 -newkey rsa:2048 -nodes -days 2 -subj /CN=authority \
             -keyout ca.key -out ca.crt",
        );
        made.certificate("server", "/CN=localhost", "subjectAltName=DNS:localhost");
        made.certificate("client", "/CN=tls_user", "basicConstraints=CA:FALSE");
        // As the Java driver wants it.
        made.run("openssl pkcs8 -topk8 -nocrypt -outform DER -in client.key -out client.pk8");
        std::fs::write(
            made.folder.join("hba"),
            "hostnossl all postgres 127.0.0.1/32 trust\n\
             hostssl   all,replication scram_user 127.0.0.1/32 scram-sha-256\n\
             hostssl   all,replication tls_user 127.0.0.1/32 cert\n\
             hostnossl replication postgres 127.0.0.1/32 trust\n",
        )
        .unwrap();
        // The server's own user reads them.
        made.run("chmod 0755 .");
        made.run("chmod 0600 server.key");
        if made.run("id -u") == "0" {
            made.run("chown postgres server.key server.crt ca.crt hba");
        }
        made
    }

    fn certificate(&self, name: &str, subject: &str, extension: &str) {
        std::fs::write(self.folder.join("extension"), extension).unwrap();
        self.run(&format!(
            "openssl req -newkey rsa:2048 -nodes -subj {subject} -keyout {name}.key -out {name}.csr"
        ));
        self.run(&format!(
            "openssl x509 -req -days 2 -in {name}.csr -CA ca.crt -CAkey ca.key -CAcreateserial \
             -extfile extension -out {name}.crt"
        ));
    }

    fn run(&self, command: &str) -> String {
        let words: Vec<_> = command.split_whitespace().collect();
        let ran = Command::new(words[0]).args(&words[1..]).current_dir(&self.folder).output();
        let ran = ran.unwrap_or_else(|error| panic!("{command}: {error}"));
        assert!(ran.status.success(), "{command}: {}", String::from_utf8_lossy(&ran.stderr));
        String::from_utf8_lossy(&ran.stdout).trim().to_owned()
    }

    fn path(&self, file: &str) -> String {
        let path: &Path = &self.folder;
        path.join(file).to_string_lossy().into_owned()
    }

    fn server(&self) -> OwnServer {
        OwnServer::start(&format!(
            "-c ssl=on -c ssl_cert_file={} -c ssl_key_file={} -c ssl_ca_file={} -c hba_file={}",
            self.path("server.crt"),
            self.path("server.key"),
            self.path("ca.crt"),
            self.path("hba")
        ))
    }
}

impl Drop for Certificates {
    fn drop(&mut self) {
        drop(std::fs::remove_dir_all(&self.folder));
    }
}

/// A way to connect, and what validation says to it; `None`: nothing.
struct Case {
    name: &'static str,
    mode: &'static str,
    more: Vec<(&'static str, String)>,
    expected: Option<&'static str>,
}

/// The keys of a role that logs in with its password, and of one that shows a certificate.
struct Logins {
    scram: Vec<(&'static str, String)>,
    certificate: Vec<(&'static str, String)>,
    authority: (&'static str, String),
    localhost: (&'static str, String),
}

impl Logins {
    fn new(certificates: &Certificates) -> Self {
        Self {
            scram: vec![
                ("database.user", "scram_user".to_owned()),
                ("database.password", "secret".to_owned()),
            ],
            certificate: vec![
                ("database.user", "tls_user".to_owned()),
                ("database.sslcert", certificates.path("client.crt")),
                ("database.sslkey", certificates.path("client.key")),
            ],
            authority: ("database.sslrootcert", certificates.path("ca.crt")),
            localhost: ("database.hostname", "localhost".to_owned()),
        }
    }
}

fn cases(certificates: &Certificates) -> Vec<Case> {
    let Logins { scram, certificate, authority, localhost } = Logins::new(certificates);
    let with = |login: &[(&'static str, String)], more: &[&(&'static str, String)]| {
        let more = more.iter().map(|pair| (*pair).clone());
        login.iter().cloned().chain(more).collect::<Vec<_>>()
    };
    let case = |name, mode, more: Vec<(&'static str, String)>, expected| Case {
        name,
        mode,
        more,
        expected,
    };
    let other = ("database.sslrootcert", certificates.path("client.crt"));
    let der = ("database.sslkey", certificates.path("client.pk8"));
    let wrong = Some("database.sslrootcert");
    vec![
        case("plain", "disable", Vec::new(), None),
        case("a role that needs TLS", "disable", scram.clone(), Some("no pg_hba.conf entry")),
        case("allow goes on to TLS", "allow", scram.clone(), None),
        case("prefer", "prefer", scram.clone(), None),
        case("require takes any server", "require", scram.clone(), None),
        case("no password", "require", scram[..1].to_vec(), Some("password")),
        case("verify-ca ignores the name", "verify-ca", with(&scram, &[&authority]), None),
        case("verify-full", "verify-full", with(&scram, &[&localhost, &authority]), None),
        case("verify-full wants the name", "verify-full", with(&scram, &[&authority]), wrong),
        case("another authority", "verify-ca", with(&scram, &[&other]), wrong),
        case("a client certificate", "require", certificate.clone(), None),
        case(
            "its key as the Java driver has it",
            "verify-full",
            with(&certificate, &[&der, &localhost, &authority]),
            None,
        ),
        case("no client certificate", "require", certificate[..1].to_vec(), Some("certificate")),
    ]
}

fn props(server: &OwnServer, mode: &str, more: &[(&'static str, String)]) -> Props {
    let more = more.iter().map(|(key, value)| (*key, value.as_str()));
    let own = [("database.sslmode", mode), ("table.include.list", "public.t")];
    config_of(server, &own.into_iter().chain(more).collect::<Vec<_>>())
}

#[tokio::test(flavor = "multi_thread")]
async fn every_mode_connects_or_says_what_is_missing() {
    let certificates = Certificates::make();
    let server = certificates.server();
    let client = server.connect().await;
    client
        .batch_execute(
            "create role tls_user superuser login; \
             create role scram_user superuser login password 'secret'; \
             create table t (id int primary key); insert into t values (1)",
        )
        .await
        .unwrap();
    for Case { name, mode, more, expected } in cases(&certificates) {
        let props = props(&server, mode, &more);
        let connector = postgres::connector(&props, ConnectorContext::default()).unwrap();
        let errors = connector.validate().await;
        match expected {
            None => assert_eq!(errors, [], "{name}"),
            Some(words) => {
                assert_eq!(errors.len(), 1, "{name}: {errors:?}");
                assert!(errors[0].message.contains(words), "{name}: {}", errors[0].message);
            }
        }
    }
    // Snapshot and stream through TLS, the server's certificate checked and the client's shown.
    let Logins { certificate, authority, localhost, .. } = Logins::new(&certificates);
    let login = [certificate, vec![authority, localhost]].concat();
    let mut source = Source::start(&props(&server, "verify-full", &login), None, false);
    assert_eq!(short(&source.snapshot().await), ["r 1"]);
    client.batch_execute("insert into t select generate_series(2, 500)").await.unwrap();
    assert_eq!(source.take(499).await.len(), 499);
    let encrypted = "select count(*) from pg_stat_ssl s join pg_stat_replication r using (pid) \
                     where s.ssl and s.client_dn = '/CN=tls_user'";
    let encrypted: i64 = client.query_one(encrypted, &[]).await.unwrap().get(0);
    assert_eq!(encrypted, 1);
    source.stop().await;
}
