//! What the system says of this process: descriptors that are open, memory that is used, and how much of both there may be.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use outrigger_core::overload::Pressure;
use rustix::process::{Resource, getrlimit};

use crate::overload_args::MemoryLimit;

/// A limit of a control group of version 1 that is none is written as a number near the largest.
const NO_LIMIT: u64 = 1 << 60;

/// Descriptors of this process, as far as there is a limit and the system says how many are open.
pub(super) fn descriptors() -> Option<Pressure> {
    let limit = getrlimit(Resource::Nofile).current?;
    let used = open_descriptors(Path::new("/proc/self/fd"), limit)?;
    Some(Pressure { used, limit })
}

/// Linux 6.2 and later says how many there are as the size of the folder; before that they are counted.
fn open_descriptors(folder: &Path, limit: u64) -> Option<u64> {
    let size = fs::metadata(folder).ok()?.len();
    if size > 0 {
        return Some(size);
    }
    match fs::read_dir(folder) {
        // Less the one that reads it.
        Ok(all) => Some((all.count() as u64).saturating_sub(1)),
        // There is none left to count them with.
        Err(error) if error.raw_os_error() == Some(rustix::io::Errno::MFILE.raw_os_error()) => {
            Some(limit)
        }
        Err(_) => None,
    }
}

/// Where the memory of this process is accounted for.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Memory {
    /// In these control groups, each within the next.
    Groups(Vec<Group>),
    /// In this process alone, against what was given.
    Own(u64),
    /// Nowhere.
    Unmeasured,
}

/// A control group that accounts for memory.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Group {
    folder: PathBuf,
    files: &'static Files,
}

/// What files of a control group are called.
#[derive(Debug, PartialEq, Eq)]
struct Files {
    limit: &'static str,
    used: &'static str,
    inactive: &'static str,
}

const VERSION_1: Files = Files {
    limit: "memory.limit_in_bytes",
    used: "memory.usage_in_bytes",
    inactive: "total_inactive_file ",
};

const VERSION_2: Files = Files {
    limit: "memory.max",
    used: "memory.current",
    inactive: "inactive_file ",
};

impl Memory {
    /// As the command line wants it, on this machine.
    pub(super) fn of(limit: MemoryLimit) -> Self {
        match limit {
            MemoryLimit::Off => Self::Unmeasured,
            MemoryLimit::Given(size) => Self::Own(size),
            MemoryLimit::Auto => {
                let own = fs::read_to_string("/proc/self/cgroup").unwrap_or_default();
                Self::Groups(groups(Path::new("/sys/fs/cgroup"), &own))
            }
        }
    }

    /// What is used of how much; `None` where there is no limit, or nobody says.
    pub(super) fn pressure(&self) -> Option<Pressure> {
        match self {
            Self::Groups(groups) => {
                let all = groups.iter().filter_map(Group::pressure);
                all.max_by_key(|pressure| pressure.percent())
            }
            Self::Own(limit) => Some(Pressure {
                used: resident_bytes()?,
                limit: *limit,
            }),
            Self::Unmeasured => None,
        }
    }
}

impl Group {
    /// What is used less what the kernel takes back first: pages of files that nobody has looked at for a while. Kubernetes counts alike.
    fn pressure(&self) -> Option<Pressure> {
        let Self { folder, files } = self;
        let number = |name: &str| read(&folder.join(name)).ok()?.trim().parse::<u64>().ok();
        let limit = number(files.limit).filter(|limit| *limit < NO_LIMIT)?;
        let used = number(files.used)?;
        let stat = read(&folder.join("memory.stat")).unwrap_or_default();
        let mut lines = stat.lines();
        let inactive = lines.find_map(|line| line.strip_prefix(files.inactive)?.parse().ok());
        Some(Pressure {
            used: used.saturating_sub(inactive.unwrap_or(0)),
            limit,
        })
    }
}

fn read(path: &Path) -> io::Result<String> {
    fs::read_to_string(path)
}

/// The control groups of a process, by what `/proc/self/cgroup` says: each that accounts for memory, from its own to the root. Where the
/// process sees no more than its own (a container), that stands at the root.
fn groups(root: &Path, own: &str) -> Vec<Group> {
    let lines: Vec<Vec<&str>> = own
        .lines()
        .map(|line| line.splitn(3, ':').collect())
        .collect();
    let version_1 = lines.iter().find_map(|line| match line[..] {
        [_, controllers, path] if controllers.split(',').any(|one| one == "memory") => Some(path),
        _ => None,
    });
    let version_2 = lines.iter().find_map(|line| match line[..] {
        ["0", "", path] => Some(path),
        _ => None,
    });
    let (root, path, files) = match (version_1, version_2) {
        (Some(path), _) => (root.join("memory"), path, &VERSION_1),
        (None, Some(path)) => (root.to_path_buf(), path, &VERSION_2),
        (None, None) => return Vec::new(),
    };
    let own = root.join(path.trim_start_matches('/'));
    let all = own
        .ancestors()
        .take_while(|folder| folder.starts_with(&root));
    let accounts = |folder: &&Path| folder.join(files.used).is_file();
    let groups = all.filter(accounts).map(|folder| Group {
        folder: folder.into(),
        files,
    });
    groups.collect()
}

/// Memory that this process has.
pub(in crate::run) fn resident_bytes() -> Option<u64> {
    let status = fs::read_to_string("/proc/self/status").ok()?;
    let mut lines = status.lines();
    let line = lines.find_map(|line| line.strip_prefix("VmRSS:"))?;
    let kib: u64 = line.trim().strip_suffix("kB")?.trim().parse().ok()?;
    Some(kib * 1024)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A folder of this test alone.
    fn folder(name: &str) -> PathBuf {
        let name = format!("outrigger-{name}-{}", std::process::id());
        let folder = std::env::temp_dir().join(name);
        let _ = fs::remove_dir_all(&folder);
        fs::create_dir_all(&folder).unwrap();
        folder
    }

    fn write(folder: &Path, files: &[(&str, &str)]) {
        fs::create_dir_all(folder).unwrap();
        for (name, text) in files {
            fs::write(folder.join(name), text).unwrap();
        }
    }

    fn pressure(root: &Path, own: &str) -> Option<(u64, u64)> {
        let memory = Memory::Groups(groups(root, own));
        let pressure = memory.pressure();
        pressure.map(|Pressure { used, limit }| (used, limit))
    }

    #[test]
    fn the_fullest_group_counts_less_what_the_kernel_takes_back() {
        let root = folder("cgroup-2");
        let (slice, own) = (root.join("a.slice"), root.join("a.slice/b.service"));
        write(&root, &[("memory.stat", "inactive_file 5\n")]);
        write(
            &slice,
            &[
                ("memory.max", "1000\n"),
                ("memory.current", "700\n"),
                ("memory.stat", "anon 1\ninactive_file 100\nactive_file 5\n"),
            ],
        );
        write(
            &own,
            &[("memory.max", "max\n"), ("memory.current", "300\n")],
        );
        let path = "0::/a.slice/b.service\n";
        assert_eq!(pressure(&root, path), Some((600, 1000)));
        write(&own, &[("memory.max", "400\n")]);
        assert_eq!(pressure(&root, path), Some((300, 400)), "fuller");
        assert_eq!(pressure(&root, "0::/c.slice\n"), None);
        assert_eq!(pressure(&root, ""), None);
        // Within a container its own group stands at the root, whatever its path is called outside.
        write(&root, &[("memory.max", "10"), ("memory.current", "7")]);
        assert_eq!(pressure(&root, "0::/\n"), Some((2, 10)));
        assert_eq!(pressure(&root, "0::/kubepods/pod1\n"), Some((2, 10)));
        fs::remove_dir_all(&root).unwrap();
    }

    #[test]
    fn version_1_has_other_names() {
        let root = folder("cgroup-1");
        let own = root.join("memory/docker/1");
        let no_limit = ("memory.limit_in_bytes", "9223372036854771712\n");
        write(
            &root.join("memory"),
            &[no_limit, ("memory.usage_in_bytes", "99999")],
        );
        let stat = ("memory.stat", "inactive_file 1\ntotal_inactive_file 30\n");
        write(&own, &[no_limit, ("memory.usage_in_bytes", "100\n"), stat]);
        let path = "9:name=systemd:/\n4:cpuset,memory:/docker/1\n0::/\n";
        assert_eq!(pressure(&root, path), None, "no limit anywhere");
        write(&own, &[("memory.limit_in_bytes", "140\n")]);
        assert_eq!(pressure(&root, path), Some((70, 140)));
        fs::remove_dir_all(&root).unwrap();
    }

    #[test]
    fn this_process_has_descriptors_and_memory() {
        let before = descriptors().unwrap();
        let file = fs::File::open("/dev/null").unwrap();
        let with_one_more = descriptors().unwrap();
        // Other tests open and close theirs meanwhile.
        assert!(before.used > 2 && with_one_more.used > 2);
        assert!(with_one_more.used <= with_one_more.limit);
        drop(file);
        assert!(resident_bytes().unwrap() > 1 << 20);
        assert!(Memory::Own(1).pressure().unwrap().used > 1);
    }

    #[test]
    fn descriptors_are_counted_where_the_folder_has_no_size() {
        let folder = folder("fd");
        let size = fs::metadata(&folder).unwrap().len();
        write(&folder, &[("0", ""), ("1", ""), ("2", ""), ("3", "")]);
        let counted = open_descriptors(&folder, 10).unwrap();
        // Only /proc has folders without a size, or counts by it; a real one stands for both.
        assert_eq!(
            counted,
            if size > 0 {
                fs::metadata(&folder).unwrap().len()
            } else {
                3
            }
        );
        fs::remove_dir_all(&folder).unwrap();
    }
}
