//! Folders, links and pipes as they are found.

use super::*;

/// A folder of its own for one test; files by path and text.
fn folder(test: &str, files: &[(&str, &str)]) -> PathBuf {
    let folder =
        std::env::temp_dir().join(format!("outrigger-sources-{}-{test}", std::process::id()));
    let _ = fs::remove_dir_all(&folder);
    fs::create_dir_all(&folder).unwrap();
    for (path, text) in files {
        let path = folder.join(path);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, text).unwrap();
    }
    folder
}

fn names(folder: &Path, paths: &[&str]) -> Vec<String> {
    let paths: Vec<_> = paths.iter().map(|path| folder.join(path)).collect();
    let prefix = format!("{}/", folder.display());
    let found = read(&paths).unwrap();
    found
        .sources
        .iter()
        .map(|source| source.name.replace(&prefix, ""))
        .collect()
}

#[test]
fn folders_are_read_in_order_and_files_once() {
    let folder = folder(
        "order",
        &[
            ("b.yaml", ""),
            ("a.yml", ""),
            ("sub/c.json", ""),
            ("notes.md", ""),
            (".hidden.yaml", ""),
            (".git/d.yaml", ""),
            ("odd", ""),
        ],
    );
    assert_eq!(names(&folder, &[""]), ["a.yml", "b.yaml", "sub/c.json"]);
    assert_eq!(
        names(&folder, &["sub", ""]),
        ["sub/c.json", "a.yml", "b.yaml"]
    );
    assert_eq!(
        names(&folder, &["odd"]),
        ["odd"],
        "a file that is named is read"
    );
    fs::remove_dir_all(folder).unwrap();
}

#[test]
fn what_somebody_ignores_is_left_out() {
    let folder = folder(
        "ignored",
        &[
            (".outriggerignore", "values*.yaml\n/charts/\n"),
            ("a.yaml", ""),
            ("values-prod.yaml", ""),
            ("charts/b.yaml", ""),
            ("sub/.outriggerignore", "!values.yaml\n/c.yaml\n"),
            ("sub/c.yaml", ""),
            ("sub/charts/c.yaml", ""),
            ("sub/values.yaml", ""),
            ("z/values.yaml", ""),
            ("z/c.yaml", ""),
        ],
    );
    let rest = ["a.yaml", "sub/charts/c.yaml", "sub/values.yaml", "z/c.yaml"];
    assert_eq!(names(&folder, &[""]), rest);
    assert_eq!(names(&folder, &["values-prod.yaml"]), ["values-prod.yaml"]);
    let ignore = ["sub".parse().unwrap(), "*.yaml".parse().unwrap()];
    for (count, want) in [(0, 4), (1, 2), (2, 0)] {
        let mut reader = Reader::ignoring(&ignore[..count]);
        let found = reader.read(std::slice::from_ref(&folder)).unwrap();
        assert_eq!(found.sources.len(), want);
    }
    fs::remove_dir_all(folder).unwrap();
}

#[cfg(unix)]
#[test]
fn a_mounted_config_map_is_read_through_its_links() {
    let folder = folder("links", &[("..2026/rules.yaml", "kind: x")]);
    std::os::unix::fs::symlink("..2026", folder.join("..data")).unwrap();
    std::os::unix::fs::symlink("..data/rules.yaml", folder.join("rules.yaml")).unwrap();
    std::os::unix::fs::symlink(".", folder.join("loop")).unwrap();
    assert_eq!(names(&folder, &[""]), ["rules.yaml"]);
    fs::remove_dir_all(folder).unwrap();
}

#[cfg(unix)]
#[test]
fn what_may_never_end_is_passed_over_in_a_folder() {
    let folder = folder("pipe", &[("a.yaml", "")]);
    // A socket file is no regular file either, and needs no tool to make.
    let socket = std::os::unix::net::UnixListener::bind(folder.join("s.yaml"));
    std::os::unix::fs::symlink("/dev/zero", folder.join("z.yaml")).unwrap();
    assert!(socket.is_ok());
    assert_eq!(names(&folder, &[""]), ["a.yaml"]);
    let found = read(std::slice::from_ref(&folder)).unwrap();
    let codes: Vec<_> = found.findings.iter().map(|f| f.code).collect();
    assert_eq!(codes, [Code::NotARegularFile, Code::NotARegularFile]);
    fs::remove_dir_all(folder).unwrap();
}

#[cfg(unix)]
#[test]
fn a_link_that_leads_nowhere_stops_nobody() {
    let folder = folder("dangling", &[("a.yaml", "kind: x"), ("z.yaml", "kind: z")]);
    let link = |name: &str, to: &str| {
        std::os::unix::fs::symlink(to, folder.join(name)).unwrap();
    };
    link("gone.yaml", "/nowhere/at/all");
    link("loop.yaml", "loop.yaml");
    link("no-configuration", "/nowhere/at/all");
    assert_eq!(
        names(&folder, &[""]),
        ["a.yaml", "gone.yaml", "loop.yaml", "z.yaml"]
    );
    let found = read(std::slice::from_ref(&folder)).unwrap();
    let told: Vec<_> = found.findings.iter().map(ToString::to_string).collect();
    assert_eq!(told.len(), 2, "{told:?}");
    assert!(told[0].contains("gone.yaml: warning: the link leads nowhere [unreadable-file]"));
    assert!(told[1].contains("loop.yaml: warning: the file cannot be read"));
    assert!(found.sources[1].bytes.is_empty());
    assert!(
        read(&[folder.join("gone.yaml")]).is_err(),
        "one that is named"
    );
    fs::remove_dir_all(folder).unwrap();
}

#[cfg(unix)]
#[test]
fn a_pipe_that_is_named_is_read_once_to_its_end() {
    use std::io::Write as _;
    use std::os::fd::AsRawFd as _;
    // As a shell's `<(…)` names it.
    let (pipe, mut writer) = io::pipe().unwrap();
    let path = PathBuf::from(format!("/dev/fd/{}", pipe.as_raw_fd()));
    writer.write_all(b"kind: x").unwrap();
    drop(writer);
    let mut reader = Reader::default();
    for _ in 0..2 {
        let found = reader.read(&[path.clone(), path.clone()]).unwrap();
        assert_eq!(found.sources.len(), 1);
        assert_eq!(found.sources[0].bytes, b"kind: x");
    }
}

#[test]
fn every_unreadable_path_is_told() {
    let folder = folder("missing", &[("a.yaml", "")]);
    let paths = ["a.yaml", "b.yaml", "c"].map(|path| folder.join(path));
    let told: Vec<_> = read(&paths)
        .unwrap_err()
        .iter()
        .map(ToString::to_string)
        .collect();
    assert_eq!(told.len(), 2);
    assert!(told[0].contains("b.yaml`: No such file"), "{}", told[0]);
    fs::remove_dir_all(folder).unwrap();
}
