//! The loggers of a configuration, and the handlers that a line reaches.
//!
//! The rules are Python's: the level of the logger (or of its nearest ancestor that has one) decides, then the level of
//! each handler up the chain. The levels of the loggers in between are never used.

use std::collections::HashMap;
use std::sync::Arc;

use super::console::Stream;
use super::format::Format;
use super::handler::Handler;
use super::level::Level;
use super::record::LogRecord;

/// A logger of the configuration.
#[derive(Debug)]
pub(super) struct LoggerNode {
    /// The level; [`Level::NOTSET`] means that of the parent.
    pub level: Level,
    pub handlers: Vec<Arc<Handler>>,
    pub propagate: bool,
}

/// The loggers of a configuration.
#[derive(Debug)]
pub(super) struct Tree {
    pub root: LoggerNode,
    pub loggers: HashMap<String, LoggerNode>,
    /// Python's `lastResort`: the handler of warnings and worse that reach no other handler.
    last_resort: Handler,
    /// The program's own handler, beside those of the configuration: it gets each line, whichever handlers that reaches.
    pub observer: Option<Handler>,
}

impl Tree {
    pub fn new(root: LoggerNode, loggers: HashMap<String, LoggerNode>) -> Self {
        let format = Arc::new(Format::default());
        let last_resort = Handler::console(Level::WARNING, Stream::Stderr, format, None);
        Self { root, loggers, last_resort, observer: None }
    }

    /// Return whether the logger of that name accepts lines of that level.
    pub fn enabled(&self, name: &str, level: Level) -> bool {
        // As in Python, a line of level NOTSET is never logged.
        level > Level::NOTSET && level >= self.effective_level(name)
    }

    fn effective_level(&self, name: &str) -> Level {
        self.chain(name).map(|node| node.level).find(|level| *level != Level::NOTSET).unwrap_or(Level::NOTSET)
    }

    /// Pass a line of an enabled level to every handler that it reaches.
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
        self.observer.iter().for_each(|observer| observer.handle(record));
    }

    /// Write the lines that the handlers hold back.
    pub fn write_held(&self) {
        self.handlers().for_each(Handler::write_held);
        self.last_resort.write_held();
    }

    /// Wait for a limited time until mails and published lines are sent.
    pub fn finish(&self) {
        self.handlers().chain(&self.observer).for_each(Handler::finish);
    }

    fn handlers(&self) -> impl Iterator<Item = &Handler> {
        let nodes = std::iter::once(&self.root).chain(self.loggers.values());
        nodes.flat_map(|node| &node.handlers).map(AsRef::as_ref)
    }

    /// Return the logger of that name, if the configuration has it.
    pub fn node(&self, name: &str) -> Option<&LoggerNode> {
        if is_root(name) { Some(&self.root) } else { self.loggers.get(name) }
    }

    /// Return the loggers of the configuration from that one up to the root.
    fn chain<'t>(&'t self, name: &'t str) -> impl Iterator<Item = &'t LoggerNode> {
        let first = Some(name).filter(|name| !is_root(name) && !self.loggers.is_empty());
        std::iter::successors(first, |name| name.rsplit_once('.').map(|(parent, _)| parent))
            .filter_map(|name| self.loggers.get(name))
            .chain(std::iter::once(&self.root))
    }

    /// Return the lowest level that any logger accepts.
    pub fn lowest_level(&self) -> Level {
        let named = self.loggers.values().map(|node| node.level).filter(|level| *level != Level::NOTSET);
        named.chain([self.root.level]).min().unwrap_or(Level::NOTSET)
    }
}

/// Return whether this is a name of the root logger.
pub(super) fn is_root(name: &str) -> bool {
    name.is_empty() || name == "root"
}

#[cfg(test)]
mod tests {
    use super::*;

    fn node(level: Level, propagate: bool) -> LoggerNode {
        LoggerNode { level, handlers: Vec::new(), propagate }
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
