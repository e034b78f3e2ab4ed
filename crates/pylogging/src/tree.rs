//! The loggers of a configuration: which handlers a line reaches. Python's rules exactly: the level of the
//! logger that was used (or of its nearest ancestor that has one) decides, then each handler up the chain
//! decides for itself; the levels of the loggers in between are not asked.

use std::collections::HashMap;
use std::sync::Arc;

use super::console::Stream;
use super::format::Format;
use super::handler::Handler;
use super::level::Level;
use super::record::LogRecord;

/// A logger that the configuration names.
#[derive(Debug)]
pub(super) struct Node {
    /// [`Level::NOTSET`] takes the parent's.
    pub level: Level,
    pub handlers: Vec<Arc<Handler>>,
    pub propagate: bool,
}

/// All of them.
#[derive(Debug)]
pub(super) struct Tree {
    pub root: Node,
    pub loggers: HashMap<String, Node>,
    /// Takes warnings and worse where a line finds no handler at all: Python's `lastResort`.
    last_resort: Handler,
}

impl Tree {
    pub fn new(root: Node, loggers: HashMap<String, Node>) -> Self {
        let format = Arc::new(Format::default());
        let last_resort = Handler::console(Level::WARNING, Stream::Stderr, format, None);
        Self { root, loggers, last_resort }
    }

    /// Whether the logger of that name takes lines of that level.
    pub fn enabled(&self, name: &str, level: Level) -> bool {
        // Python's loggers never take a line of level NOTSET.
        level > Level::NOTSET && level >= self.effective_level(name)
    }

    fn effective_level(&self, name: &str) -> Level {
        self.chain(name).map(|node| node.level).find(|level| *level != Level::NOTSET).unwrap_or(Level::NOTSET)
    }

    /// Gives an enabled line to every handler that it reaches.
    pub fn handle(&self, record: &LogRecord<'_>) {
        let mut found = false;
        for node in self.chain(&record.name) {
            for handler in &node.handlers {
                found = true;
                handler.handle(record);
            }
            if !node.propagate {
                break;
            }
        }
        if !found {
            self.last_resort.handle(record);
        }
    }

    /// Writes what the handlers hold back.
    pub fn write_held(&self) {
        self.handlers().for_each(Handler::write_held);
        self.last_resort.write_held();
    }

    /// Waits for a moment until what others send for the handlers has left.
    pub fn finish(&self) {
        self.handlers().for_each(Handler::finish);
    }

    fn handlers(&self) -> impl Iterator<Item = &Handler> {
        let nodes = std::iter::once(&self.root).chain(self.loggers.values());
        nodes.flat_map(|node| &node.handlers).map(AsRef::as_ref)
    }

    /// The logger of that name, or none if the configuration does not name it.
    pub fn node(&self, name: &str) -> Option<&Node> {
        if is_root(name) { Some(&self.root) } else { self.loggers.get(name) }
    }

    /// The loggers that the configuration names from that one up to the root.
    fn chain<'t>(&'t self, name: &'t str) -> impl Iterator<Item = &'t Node> {
        let first = Some(name).filter(|name| !is_root(name) && !self.loggers.is_empty());
        std::iter::successors(first, |name| name.rsplit_once('.').map(|(parent, _)| parent))
            .filter_map(|name| self.loggers.get(name))
            .chain(std::iter::once(&self.root))
    }

    /// The lowest level that any logger takes.
    pub fn lowest_level(&self) -> Level {
        let named = self.loggers.values().map(|node| node.level).filter(|level| *level != Level::NOTSET);
        named.chain([self.root.level]).min().unwrap_or(Level::NOTSET)
    }
}

/// Python's root logger answers to its own name too.
pub(super) fn is_root(name: &str) -> bool {
    name.is_empty() || name == "root"
}

#[cfg(test)]
mod tests {
    use super::*;

    fn node(level: Level, propagate: bool) -> Node {
        Node { level, handlers: Vec::new(), propagate }
    }

    #[test]
    fn the_nearest_ancestor_with_a_level_decides() {
        let loggers = HashMap::from([
            ("a".to_owned(), node(Level::ERROR, true)),
            ("a.b".to_owned(), node(Level::NOTSET, false)),
            ("a.b.c".to_owned(), node(Level::DEBUG, true)),
        ]);
        let tree = Tree::new(node(Level::INFO, true), loggers);
        assert!(tree.enabled("other", Level::INFO) && !tree.enabled("other", Level::DEBUG));
        assert!(tree.enabled("a.b.x", Level::ERROR) && !tree.enabled("a.b.x", Level::WARNING));
        assert!(tree.enabled("a.b.c.d", Level::DEBUG));
        assert!(tree.enabled("ab", Level::INFO));
        assert!(tree.enabled("root", Level::INFO));
        assert_eq!(tree.lowest_level(), Level::DEBUG);
    }

    #[test]
    fn level_notset_is_never_logged() {
        let tree = Tree::new(node(Level::NOTSET, true), HashMap::new());
        assert!(!tree.enabled("checklist", Level::NOTSET) && tree.enabled("checklist", Level(1)));
    }
}
