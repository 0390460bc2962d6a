//! Virtual machines: a Debian kernel, a first process in memory, and the output on its console.

use std::fs;
use std::io::Read;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::Duration;

/// The disk of a machine: an archive that the kernel unpacks into memory (`cpio`, format newc).
#[derive(Debug, Default)]
pub struct Disk {
    archive: Vec<u8>,
    inode: u32,
    folders: Vec<String>,
}

/// An architecture that can be emulated here.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Arch {
    /// 64-bit x86.
    X86_64,
    /// 64-bit ARM.
    Aarch64,
}

/// A kernel that `.ci/kernels` fetched.
#[derive(Debug, Clone)]
pub struct Kernel {
    /// The series: `6.1`.
    pub series: String,
    /// Its architecture.
    pub arch: Arch,
    folder: PathBuf,
}

const FOLDER: u32 = 0o040_755;
const PRIVATE_FOLDER: u32 = 0o040_700;
const PROGRAM: u32 = 0o100_755;
const PRIVATE: u32 = 0o100_600;
const CHARACTER_DEVICE: u32 = 0o020_600;
const LINK: u32 = 0o120_777;

// === impl Arch ===

impl Arch {
    /// Returns the name that cargo's targets and `uname -m` use.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::X86_64 => "x86_64",
            Self::Aarch64 => "aarch64",
        }
    }

    /// Returns the name of cargo's target.
    #[must_use]
    pub fn target(self) -> String {
        format!("{}-unknown-linux-gnu", self.name())
    }

    /// Returns the emulator of its machines.
    #[must_use]
    pub fn emulator(self) -> String {
        format!("qemu-system-{}", self.name())
    }

    const fn debian(self) -> &'static str {
        match self {
            Self::X86_64 => "amd64",
            Self::Aarch64 => "arm64",
        }
    }
}

// === impl Kernel ===

impl Kernel {
    /// Returns the kernel of this name, such as `6.1/x86_64`, if it was fetched into `kernels`.
    #[must_use]
    pub fn find(kernels: &Path, name: &str) -> Option<Self> {
        let (series, arch) = name.split_once('/')?;
        let arch = [Arch::X86_64, Arch::Aarch64].into_iter().find(|known| known.name() == arch)?;
        let folder = kernels.join(format!("{series}-{}", arch.name()));
        folder.join("version").is_file().then(|| Self { series: series.to_owned(), arch, folder })
    }

    /// Returns the full version of the package.
    ///
    /// # Panics
    /// The version was not written.
    #[must_use]
    pub fn version(&self) -> String {
        fs::read_to_string(self.folder.join("version")).unwrap().trim().to_owned()
    }

    /// Returns the shell that was fetched for it.
    #[must_use]
    pub fn busybox(&self) -> PathBuf {
        self.folder.with_file_name(format!("busybox-{}", self.arch.debian()))
    }

    /// Boots it with this disk until it powers off; returns the output of its console.
    ///
    /// # Panics
    /// The machine runs for longer than `within`; prints the output.
    #[must_use]
    pub fn boot(&self, disk: &Path, within: Duration) -> String {
        let (console, machine): (_, &[&str]) = match self.arch {
            Arch::X86_64 => ("ttyS0", &[]),
            Arch::Aarch64 => ("ttyAMA0", &["-M", "virt"]),
        };
        let mut qemu = Command::new(self.arch.emulator());
        qemu.args(machine).args([
            "-accel",
            "tcg,thread=multi",
            "-cpu",
            "max",
            "-smp",
            "2",
            "-m",
            "1024",
            "-nographic",
            "-no-reboot",
        ]);
        qemu.arg("-kernel").arg(self.folder.join("vmlinuz")).arg("-initrd").arg(disk);
        // On a busy machine an emulated timer may miss its ticks while the kernel tests it, and then the kernel panics.
        qemu.args(["-append", &format!("console={console} quiet panic=-1 mitigations=off no_timer_check")]);
        let mut child =
            qemu.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().expect("qemu is installed");
        let mut console = child.stdout.take().unwrap();
        let reader = std::thread::spawn(move || {
            let mut said = Vec::new();
            let _ = console.read_to_end(&mut said);
            String::from_utf8_lossy(&said).into_owned()
        });
        let begun = std::time::Instant::now();
        let in_time = loop {
            match child.try_wait().unwrap() {
                Some(_) => break true,
                None if begun.elapsed() > within => break false,
                None => std::thread::sleep(Duration::from_millis(50)),
            }
        };
        let _ = child.kill();
        let _ = child.wait();
        let said = reader.join().unwrap();
        assert!(in_time, "{} {} still runs after {within:?}:\n{said}", self.series, self.arch.name());
        said
    }
}

// === impl Disk ===

impl Disk {
    /// Adds a file at a path, and the folders above it.
    pub fn file(&mut self, path: &str, content: &[u8]) -> &mut Self {
        self.folders_of(path);
        self.entry(path, PROGRAM, content, (0, 0));
        self
    }

    /// Adds a symbolic link.
    pub fn link(&mut self, path: &str, to: &str) -> &mut Self {
        self.folders_of(path);
        self.entry(path, LINK, to.as_bytes(), (0, 0));
        self
    }

    /// Adds an empty folder.
    pub fn folder(&mut self, path: &str) -> &mut Self {
        self.folders_of(&format!("{path}/."));
        self
    }

    /// Adds a program of the host machine at a path, and its shared libraries.
    ///
    /// # Panics
    /// The program does not exist.
    pub fn program(&mut self, path: &str, from: &Path) -> &mut Self {
        let content = fs::read(from).unwrap_or_else(|error| panic!("{}: {error}", from.display()));
        self.file(path, &content);
        let ldd = Command::new("ldd").arg(from).output().unwrap();
        let said = String::from_utf8_lossy(&ldd.stdout).into_owned();
        for library in said.split_whitespace().filter(|word| word.starts_with('/')) {
            if !self.folders.iter().any(|known| known == library) {
                self.folders.push(library.to_owned());
                let content = fs::read(library).unwrap();
                self.file(library, &content);
            }
        }
        self
    }

    /// Adds all files of a folder.
    ///
    /// # Panics
    /// The folder cannot be read.
    pub fn folder_of(&mut self, path: &str, from: &Path) -> &mut Self {
        for entry in fs::read_dir(from).unwrap().flatten() {
            let path = format!("{path}/{}", entry.file_name().to_string_lossy());
            self.file(&path, &fs::read(entry.path()).unwrap());
        }
        self
    }

    /// Adds all files of a folder, readable by their owner only.
    ///
    /// # Panics
    /// The folder cannot be read.
    pub fn private(&mut self, path: &str, from: &Path) -> &mut Self {
        self.folders_of(path);
        self.entry(path, PRIVATE_FOLDER, &[], (0, 0));
        self.folders.push(path.to_owned());
        for entry in fs::read_dir(from).unwrap().flatten() {
            let path = format!("{path}/{}", entry.file_name().to_string_lossy());
            self.entry(&path, PRIVATE, &fs::read(entry.path()).unwrap(), (0, 0));
        }
        self
    }

    /// Writes the archive; its first process runs `script` and powers off.
    ///
    /// # Panics
    /// The archive cannot be written.
    pub fn write(&mut self, to: &Path, busybox: &Path, script: &str) {
        self.file("/bin/busybox", &fs::read(busybox).unwrap());
        for name in ["sh", "mount", "ifconfig", "poweroff", "true", "cat", "dmesg"] {
            self.link(&format!("/bin/{name}"), "busybox");
        }
        for folder in ["/proc", "/sys", "/tmp", "/dev", "/run"] {
            self.folder(folder);
        }
        self.entry("/dev/console", CHARACTER_DEVICE, &[], (5, 1));
        let init = format!(
            "#!/bin/sh\nexport PATH=/bin\nmount -t devtmpfs none /dev\nmount -t proc none /proc\nmount -t sysfs none /sys\n\
             mount -t tracefs none /sys/kernel/tracing\nmount -t cgroup2 none /sys/fs/cgroup\nmount -t bpf none /sys/fs/bpf\n\
             ifconfig lo 127.0.0.1 up\n{script}\npoweroff -f\n"
        );
        self.file("/init", init.as_bytes());
        self.entry("TRAILER!!!", 0, &[], (0, 0));
        fs::write(to, &self.archive).unwrap();
    }

    fn folders_of(&mut self, path: &str) {
        for (at, _) in path.match_indices('/').filter(|(at, _)| *at > 0) {
            let folder = path[..at].to_owned();
            if !self.folders.contains(&folder) {
                self.entry(&folder, FOLDER, &[], (0, 0));
                self.folders.push(folder);
            }
        }
    }

    fn entry(&mut self, path: &str, mode: u32, content: &[u8], device: (u32, u32)) {
        let name = path.trim_start_matches('/');
        self.inode += 1;
        let size = u32::try_from(content.len()).expect("a file under 4 GiB");
        let name_size = u32::try_from(name.len() + 1).expect("a short name");
        let fields = [self.inode, mode, 0, 0, 1, 0, size, 0, 0, device.0, device.1, name_size, 0];
        self.archive.extend_from_slice(b"070701");
        fields.iter().for_each(|field| self.archive.extend_from_slice(format!("{field:08x}").as_bytes()));
        self.archive.extend_from_slice(name.as_bytes());
        self.archive.push(0);
        self.pad();
        self.archive.extend_from_slice(content);
        self.pad();
    }

    fn pad(&mut self) {
        self.archive.resize(self.archive.len().next_multiple_of(4), 0);
    }
}
