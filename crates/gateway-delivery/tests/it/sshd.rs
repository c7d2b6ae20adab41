//! A real OpenSSH server on loopback, as whoever runs the tests: no service of the system, no port of its own choosing, one process for each connection.

use std::fs::File;
use std::net::{Shutdown, TcpListener, TcpStream};
use std::os::fd::OwnedFd;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};

const SERVER: &str = "/usr/sbin/sshd";

pub struct Sshd {
    dir: tempfile::TempDir,
    port: u16,
    stopping: Arc<AtomicBool>,
    sessions: Arc<Mutex<Vec<(TcpStream, Child)>>>,
}

fn run(program: &str, arguments: &[&str]) -> String {
    let output = Command::new(program).args(arguments).output();
    let output = output.unwrap_or_else(|error| panic!("{program}: {error}; deploy/dev/install.sh brings OpenSSH"));
    assert!(output.status.success(), "{program} {arguments:?}: {}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).unwrap().trim().to_owned()
}

impl Sshd {
    /// Runs until it is dropped. The key of its user has this passphrase, empty for none.
    pub fn start(passphrase: &str) -> Self {
        assert!(
            Path::new(SERVER).exists(),
            "{SERVER} is missing: deploy/dev/install.sh brings it (Debian: openssh-server)"
        );
        if run("id", &["-u"]) == "0" {
            // Where the server, started by root, leaves its rights behind; of the system, and made by its service otherwise.
            std::fs::create_dir_all("/run/sshd").unwrap();
        }
        let dir = tempfile::tempdir().unwrap();
        let path = |name: &str| dir.path().join(name).display().to_string();
        run("ssh-keygen", &["-q", "-t", "ed25519", "-N", "", "-f", &path("host_key")]);
        run("ssh-keygen", &["-q", "-t", "ed25519", "-N", passphrase, "-f", &path("user_key")]);
        std::fs::copy(path("user_key.pub"), path("authorized_keys")).unwrap();
        let config = format!(
            "HostKey {}\nAuthorizedKeysFile {}\nUsePAM no\nStrictModes no\nPermitRootLogin prohibit-password\nPasswordAuthentication no\n\
             KbdInteractiveAuthentication no\nSubsystem sftp internal-sftp\n",
            path("host_key"),
            path("authorized_keys")
        );
        std::fs::write(path("sshd_config"), config).unwrap();
        run(SERVER, &["-t", "-f", &path("sshd_config")]);
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let port = listener.local_addr().unwrap().port();
        let key = std::fs::read_to_string(path("host_key.pub")).unwrap();
        std::fs::write(path("known_hosts"), format!("[127.0.0.1]:{port} {key}")).unwrap();
        let (stopping, sessions) = (Arc::new(AtomicBool::new(false)), Arc::new(Mutex::new(Vec::new())));
        let (stop, kept) = (Arc::clone(&stopping), Arc::clone(&sessions));
        let (config, log) = (path("sshd_config"), path("log"));
        std::thread::spawn(move || {
            for stream in listener.incoming() {
                if stop.load(Ordering::SeqCst) {
                    return;
                }
                let stream = stream.unwrap();
                let end = || Stdio::from(OwnedFd::from(stream.try_clone().unwrap()));
                let mut server = Command::new(SERVER);
                server.args(["-i", "-e", "-f", &config]).stdin(end()).stdout(end());
                server.stderr(File::options().append(true).create(true).open(&log).unwrap());
                let child = server.spawn().unwrap();
                kept.lock().unwrap().push((stream, child));
            }
        });
        Self { dir, port, stopping, sessions }
    }

    pub fn port(&self) -> u16 {
        self.port
    }

    /// A file beside it: `user_key`, `known_hosts`.
    pub fn path(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    /// As `ssh-keygen` prints it.
    pub fn fingerprint(&self) -> String {
        let told = run("ssh-keygen", &["-lf", &self.path("host_key.pub").display().to_string()]);
        told.split(' ').nth(1).unwrap().to_owned()
    }

    /// Breaks every session off; new ones may begin. How many there were.
    pub fn break_off(&self) -> usize {
        let sessions: Vec<_> = self.sessions.lock().unwrap().drain(..).collect();
        let broken = sessions.len();
        for (stream, mut child) in sessions {
            // It may be over already.
            let _ = stream.shutdown(Shutdown::Both);
            let _ = child.kill();
            child.wait().unwrap();
        }
        broken
    }

    /// Whoever runs it.
    pub fn user() -> String {
        run("id", &["-un"])
    }
}

impl Drop for Sshd {
    fn drop(&mut self) {
        if std::thread::panicking() {
            println!("sshd: {}", std::fs::read_to_string(self.path("log")).unwrap_or_default());
        }
        self.stopping.store(true, Ordering::SeqCst);
        let _ = TcpStream::connect(("127.0.0.1", self.port));
        self.break_off();
    }
}
