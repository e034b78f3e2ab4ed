//! `path.name`, `stem`, `parent`, `join`: paths as text, treated like Python's `PurePosixPath`. It must never access a
//! disk.

/// A path split into its root, `/`, `//` or nothing, and its parts, except empty ones and `.`.
struct PathParts<'a> {
    root: &'static str,
    parts: Vec<&'a str>,
}

fn parts(path: &str) -> PathParts<'_> {
    // POSIX leaves the meaning of exactly two leading slashes to the system, so they are kept.
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

/// Return the last part: `/a/b.nc` → `b.nc`.
pub(super) fn name(path: &str) -> String {
    parts(path).parts.last().copied().unwrap_or_default().to_owned()
}

/// Return the last part without its suffix: `/a/b.nc` → `b`.
pub(super) fn stem(path: &str) -> String {
    let name = name(path);
    match name.rfind('.') {
        Some(dot) if dot > 0 && dot + 1 < name.len() => name[..dot].to_owned(),
        _ => name,
    }
}

/// Return the path without its last part: `/a/b.nc` → `/a`.
pub(super) fn parent(path: &str) -> String {
    let mut path = parts(path);
    path.parts.pop();
    path.text()
}

/// Join paths. A path that starts with `/` replaces those before it.
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
        // (path, name, stem, parent), as `PurePosixPath` returns them.
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
