//! `path.name`, `stem`, `parent`, `join`: paths as text, as Python's `PurePosixPath` treats them.
//! It must never access a disk.

/// A path taken apart: `/` or nothing before it, and its parts without `.` and empty ones.
struct PathParts<'a> {
    root: &'static str,
    parts: Vec<&'a str>,
}

fn parts(path: &str) -> PathParts<'_> {
    // POSIX leaves exactly two slashes to the system, so they stay two.
    let root = match path.bytes().take_while(|byte| *byte == b'/').count() {
        0 => "",
        2 => "//",
        _ => "/",
    };
    PathParts { root, parts: path.split('/').filter(|part| !part.is_empty() && *part != ".").collect() }
}

impl PathParts<'_> {
    fn text(&self) -> String {
        let text = format!("{}{}", self.root, self.parts.join("/"));
        if text.is_empty() { ".".to_owned() } else { text }
    }
}

/// The last part: `/a/b.nc` → `b.nc`.
pub(super) fn name(path: &str) -> String {
    parts(path).parts.last().copied().unwrap_or_default().to_owned()
}

/// The last part without its suffix: `/a/b.nc` → `b`.
pub(super) fn stem(path: &str) -> String {
    let name = name(path);
    match name.rfind('.') {
        Some(dot) if dot > 0 && dot + 1 < name.len() => name[..dot].to_owned(),
        _ => name,
    }
}

/// The path without its last part: `/a/b.nc` → `/a`.
pub(super) fn parent(path: &str) -> String {
    let mut path = parts(path);
    path.parts.pop();
    path.text()
}

/// One path after the other; one that starts with `/` starts again.
pub(super) fn join<'a>(paths: impl IntoIterator<Item = &'a str>) -> String {
    let mut joined = PathParts { root: "", parts: Vec::new() };
    for path in paths {
        let next = parts(path);
        if next.root.is_empty() {
            joined.parts.extend(next.parts);
        } else {
            joined = next;
        }
    }
    joined.text()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_are_taken_apart_as_python_does() {
        // (path, name, stem, parent), each as PurePosixPath gives it.
        let cases = [
            ("/results/2026/run.nc", "run.nc", "run", "/results/2026"),
            ("a/b/", "b", "b", "a"),
            ("a", "a", "a", "."),
            ("", "", "", "."),
            ("/", "", "", "/"),
            ("//net/x", "x", "x", "//net"),
            ("///x", "x", "x", "/"),
            ("a/./b//c", "c", "c", "a/b"),
            (".hidden", ".hidden", ".hidden", "."),
            ("x.tar.gz", "x.tar.gz", "x.tar", "."),
            ("dot.", "dot.", "dot.", "."),
            ("..", "..", "..", "."),
        ];
        for (path, name_, stem_, parent_) in cases {
            assert_eq!(
                (name(path), stem(path), parent(path)),
                (name_.into(), stem_.into(), parent_.into()),
                "{path:?}"
            );
        }
    }

    #[test]
    fn joining_starts_again_at_an_absolute_path() {
        assert_eq!(join(["a", "b/", "c"]), "a/b/c");
        assert_eq!(join(["a", "/b", "c"]), "/b/c");
        assert_eq!(join(["", "."]), ".");
    }
}
