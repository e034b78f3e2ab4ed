//! Merge keys: `<<: *defaults`.

use super::ReadError;
use super::node::{Content, Document, NodeId};
use crate::tag::Tag;

/// Replace the merge keys of a mapping: insert the pairs that they refer to before its own pairs, so that its own win.
/// The key `=` becomes text. Other nodes are left alone.
pub(super) fn flatten(document: &mut Document<'_>, id: NodeId) -> Result<(), ReadError> {
    let Content::Mapping(pairs) = &mut document.nodes[id].content else { return Ok(()) };
    let pairs = std::mem::take(pairs);
    let is_plain = pairs.iter().all(|&(key, _)| !matches!(document.nodes[key].tag, Tag::Merge | Tag::Value));
    let flat = if is_plain { pairs } else { merged(document, &pairs)? };
    document.nodes[id].content = Content::Mapping(flat);
    Ok(())
}

fn merged(
    document: &mut Document<'_>,
    pairs: &[(NodeId, NodeId)],
) -> Result<Vec<(NodeId, NodeId)>, ReadError> {
    let mut flat = Vec::new();
    let mut own = Vec::new();
    for &(key, value) in pairs {
        match document.nodes[key].tag {
            Tag::Merge => flat.extend(merge_sources(document, value)?),
            Tag::Value => {
                document.nodes[key].tag = Tag::Str;
                own.push((key, value));
            }
            _ => own.push((key, value)),
        }
    }
    for &(key, value) in &flat {
        document.nodes[key].is_shared = true;
        document.nodes[value].is_shared = true;
    }
    flat.append(&mut own);
    Ok(flat)
}

/// Return the pairs of the mapping, or of the list of mappings, after `<<`. In a list, the first mapping wins.
fn merge_sources(document: &mut Document<'_>, id: NodeId) -> Result<Vec<(NodeId, NodeId)>, ReadError> {
    let Content::Sequence(sources) = &document.nodes[id].content else {
        return merge_source(document, id);
    };
    let mut pairs = Vec::new();
    for source in sources.clone().into_iter().rev() {
        pairs.append(&mut merge_source(document, source)?);
    }
    Ok(pairs)
}

fn merge_source(document: &mut Document<'_>, id: NodeId) -> Result<Vec<(NodeId, NodeId)>, ReadError> {
    flatten(document, id)?;
    match &document.nodes[id].content {
        Content::Mapping(pairs) => Ok(pairs.clone()),
        other => {
            let what = format!("<< merges a mapping or a list of mappings, not {}", other.kind());
            Err(ReadError::new(document.nodes[id].mark, what))
        }
    }
}
