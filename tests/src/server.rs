//! Real servers from Debian packages, each in a folder and on a port of its own. Killed when dropped.

use std::fs;
use std::net::{TcpListener, TcpStream};
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use crate::wait_for;

/// A running server.
pub struct Server {
    child: Child,
    folder: tempfile::TempDir,
    /// The port that it listens on, on 127.0.0.1.
    pub port: u16,
}

/// Maximum time for a database to start.
const SOON: Duration = Duration::from_secs(30);

/// Finds an installed program; outside of PATH, Debian's own folders are tried.
#[must_use]
pub fn find(program: &str) -> Option<PathBuf> {
    let path = std::env::var_os("PATH").unwrap_or_default();
    let mut folders: Vec<PathBuf> = std::env::split_paths(&path).collect();
    folders.extend(["/usr/sbin", "/usr/local/sbin"].map(PathBuf::from));
    let versions = fs::read_dir("/usr/lib/postgresql").into_iter().flatten().flatten();
    folders.extend(versions.map(|version| version.path().join("bin")));
    // A program given as a path is that file.
    folders.into_iter().map(|folder| folder.join(program)).find(|file| file.is_file())
}

/// Returns a port that is free now.
///
/// # Panics
/// There is no free port.
#[must_use]
pub fn free_port() -> u16 {
    TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port()
}

// === impl Server ===

impl Server {
    /// Starts nginx: `/ok` answers 200, `/users/ID` 200, `/missing` 404, `/broken` 500; with TLS if `tls`.
    ///
    /// # Panics
    /// The server does not start.
    #[must_use]
    pub fn nginx(tls: bool) -> Self {
        let listen = if tls { " ssl" } else { "" };
        Self::start("nginx", |folder, port| {
            let certificate = if tls {
                certificate(folder);
                format!("ssl_certificate {0}/cert.pem; ssl_certificate_key {0}/key.pem;", folder.display())
            } else {
                String::new()
            };
            let config = format!(
                "worker_processes 1; daemon off; pid {0}/pid; error_log {0}/error.log; events {{ worker_connections 256; }}
                 http {{ access_log off; keepalive_requests 100000000; default_type text/plain;
                   client_body_temp_path {0}/body; proxy_temp_path {0}/proxy; fastcgi_temp_path {0}/f; uwsgi_temp_path {0}/u; scgi_temp_path {0}/s;
                   server {{ listen 127.0.0.1:{port}{listen}; {certificate}
                     location / {{ return 404 'no'; }} location = /ok {{ return 200 'fine'; }} location /users/ {{ return 200 'someone'; }}
                     location = /broken {{ return 500 'oops'; }} }} }}",
                folder.display()
            );
            fs::write(folder.join("nginx.conf"), config).unwrap();
            vec!["-p".into(), folder.display().to_string(), "-c".into(), "nginx.conf".into(), "-e".into(), "error.log".into()]
        })
    }

    /// Starts Redis, without persistence.
    ///
    /// # Panics
    /// The server does not start.
    #[must_use]
    pub fn redis() -> Self {
        Self::start("redis-server", |folder, port| {
            let folder = folder.display().to_string();
            ["--port", &port.to_string(), "--bind", "127.0.0.1", "--save", "", "--appendonly", "no", "--dir", &folder]
                .map(str::to_owned)
                .to_vec()
        })
    }

    /// Starts memcached.
    ///
    /// # Panics
    /// The server does not start.
    #[must_use]
    pub fn memcached() -> Self {
        Self::start("memcached", |_, port| {
            ["-u", "root", "-l", "127.0.0.1", "-t", "1", "-U", "0", "-p", &port.to_string()].map(str::to_owned).to_vec()
        })
    }

    /// Starts MariaDB with an empty database `test`; `root` needs no password.
    ///
    /// # Panics
    /// The server does not start.
    #[must_use]
    pub fn mariadb() -> Self {
        Self::start("mariadbd", |folder, port| {
            let data = format!("--datadir={}/data", folder.display());
            let mut install = Command::new(find("mariadb-install-db").expect("mariadb-install-db"));
            install.args(["--no-defaults", &data, "--auth-root-authentication-method=normal", "--user=root"]);
            assert!(install.stdout(Stdio::null()).stderr(Stdio::null()).status().unwrap().success());
            let socket = format!("--socket={}/socket", folder.display());
            let port = format!("--port={port}");
            ["--no-defaults", "--user=root", &data, &socket, &port, "--bind-address=127.0.0.1"].map(str::to_owned).to_vec()
        })
    }

    /// Starts PostgreSQL; the user `postgres` needs no password.
    ///
    /// # Panics
    /// The server does not start.
    #[must_use]
    pub fn postgresql() -> Self {
        Self::postgresql_as(false)
    }

    /// The same with a certificate: clients that ask for TLS get it.
    ///
    /// # Panics
    /// The server does not start.
    #[must_use]
    pub fn postgresql_with_tls() -> Self {
        Self::postgresql_as(true)
    }

    fn postgresql_as(with_tls: bool) -> Self {
        Self::start_as("postgres", Some("postgres"), |folder, port| {
            let data = format!("{}/data", folder.display());
            let mut initdb = Command::new(find("initdb").expect("initdb"));
            initdb.args(["-D", &data, "-A", "trust", "-U", "postgres"]).current_dir(folder);
            as_user(&mut initdb, "postgres");
            assert!(initdb.stdout(Stdio::null()).stderr(Stdio::null()).status().unwrap().success());
            let socket = folder.display().to_string();
            let port = port.to_string();
            let mut arguments = vec!["-D", &data, "-p", &port, "-h", "127.0.0.1", "-k", &socket, "-c", "fsync=off"];
            let (cert, key) = (format!("ssl_cert_file={socket}/cert.pem"), format!("ssl_key_file={socket}/key.pem"));
            if with_tls {
                certificate(folder);
                // The server refuses a key that others may read, or that it does not own.
                let owned = Command::new("chown").args(["postgres", "cert.pem", "key.pem"]).current_dir(folder).status();
                assert!(owned.unwrap().success());
                arguments.extend(["-c", "ssl=on", "-c", &cert, "-c", &key]);
            }
            arguments.into_iter().map(str::to_owned).collect()
        })
    }

    /// Starts dnsmasq, which resolves `host-N.test` for N from 0 to 9 and answers NXDOMAIN for all other names under `test`.
    ///
    /// # Panics
    /// The server does not start.
    #[must_use]
    pub fn dnsmasq() -> Self {
        Self::start("dnsmasq", |folder, port| {
            let mut arguments: Vec<String> =
                (0..10).map(|number| format!("--address=/host-{number}.test/10.0.0.{number}")).collect();
            arguments.extend(
                ["--keep-in-foreground", "--no-resolv", "--no-hosts", "--local=/test/", "--conf-file=/dev/null"]
                    .map(str::to_owned),
            );
            arguments.extend(
                ["--bind-interfaces", "--listen-address=127.0.0.1", "--user=root", "--cache-size=0"].map(str::to_owned),
            );
            arguments.push(format!("--pid-file={}/pid", folder.display()));
            arguments.push(format!("--port={port}"));
            arguments
        })
    }

    /// Starts any other program that listens on the port that it gets.
    ///
    /// # Panics
    /// The program is not installed or does not start.
    #[must_use]
    pub fn start(program: &str, arguments: impl FnOnce(&Path, u16) -> Vec<String>) -> Self {
        Self::start_as(program, None, arguments)
    }

    fn start_as(program: &str, user: Option<&str>, arguments: impl FnOnce(&Path, u16) -> Vec<String>) -> Self {
        let folder = tempfile::tempdir().unwrap();
        if let Some(user) = user {
            let owned = Command::new("chown").arg(user).arg(folder.path()).status().unwrap();
            assert!(owned.success());
        }
        let port = free_port();
        let arguments = arguments(folder.path(), port);
        let binary = find(program).unwrap_or_else(|| panic!("{program} is not installed: run `make setup`"));
        let log = |name: &str| fs::File::create(folder.path().join(name)).unwrap();
        let mut command = Command::new(binary);
        command.args(arguments).current_dir(folder.path()).stdin(Stdio::null()).stdout(log("stdout")).stderr(log("stderr"));
        if let Some(user) = user {
            as_user(&mut command, user);
        }
        let mut server = Self { child: command.spawn().unwrap(), folder, port };
        wait_for(&format!("{program} to listen"), SOON, || {
            let said = || fs::read_to_string(server.folder.path().join("stderr")).unwrap_or_default();
            assert!(server.child.try_wait().unwrap().is_none(), "{program} ended: {}", said());
            TcpStream::connect(("127.0.0.1", port)).ok()
        });
        server
    }

    /// Returns its process id.
    #[must_use]
    pub fn pid(&self) -> u32 {
        self.child.id()
    }

    /// Returns a file in its folder.
    #[must_use]
    pub fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        // Servers with children end them on SIGTERM, and only then.
        if let Some(pid) = rustix::process::Pid::from_raw(self.child.id().cast_signed()) {
            let _ = rustix::process::kill_process(pid, rustix::process::Signal::TERM);
        }
        for _ in 0..500 {
            if !matches!(self.child.try_wait(), Ok(None)) {
                return;
            }
            std::thread::sleep(Duration::from_millis(10));
        }
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Makes a self-signed certificate of a server: `cert.pem` and `key.pem`.
///
/// # Panics
/// `openssl` makes none.
pub fn certificate(folder: &Path) {
    let made = Command::new("openssl")
        .args(["req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes", "-days", "2"])
        .args(["-subj", "/CN=localhost", "-addext", "subjectAltName=DNS:localhost,IP:127.0.0.1"])
        .args(["-keyout", "key.pem", "-out", "cert.pem"])
        .current_dir(folder)
        .stderr(Stdio::null())
        .status();
    assert!(made.unwrap().success(), "openssl made no certificate");
}

fn as_user(command: &mut Command, user: &str) {
    let id = |flag: &str| {
        let output = Command::new("id").args([flag, user]).output().unwrap();
        String::from_utf8_lossy(&output.stdout).trim().parse::<u32>().expect("the user is there")
    };
    command.gid(id("-g")).uid(id("-u"));
}
