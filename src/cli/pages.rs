//! [`pages`]: a list that is read from the journal in pages, so that it is never in memory as a whole.

use std::iter;

use nowcast_core::Number;

/// The length of a page: some hundred kB of messages.
const PAGE: u32 = 500;

/// Return up to `count` items, newest first. `read` returns a page: at most so many items, all with lower numbers than that of the
/// last item of the previous page.
pub(super) fn pages<'a, T: 'a>(
    count: u32,
    number_of: fn(&T) -> u64,
    mut read: impl FnMut(u32, Option<Number>) -> anyhow::Result<Vec<T>> + 'a,
) -> impl Iterator<Item = anyhow::Result<T>> + 'a {
    let (mut left, mut before) = (count, None);
    let page = move || {
        let length = left.min(PAGE);
        if length == 0 {
            return None;
        }
        let page = read(length, before);
        let items = page.as_deref().unwrap_or_default();
        before = items.last().map(|item| Number(number_of(item)));
        // A page that is not full is the last one.
        left = if items.len() < length as usize { 0 } else { left - length };
        Some(page)
    };
    iter::from_fn(page).flat_map(|page| {
        let (items, error) = match page {
            Ok(items) => (items, None),
            Err(error) => (Vec::new(), Some(Err(error))),
        };
        items.into_iter().map(Ok).chain(error)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The items of a list with the numbers from 1 to `length`, and the lengths that were asked for.
    fn read(count: u32, length: u64) -> (Vec<u64>, Vec<u32>) {
        let mut asked = Vec::new();
        let page = |most: u32, before: Option<Number>| {
            asked.push(most);
            let end = before.map_or(length + 1, |before| before.0);
            Ok((1..end).rev().take(most as usize).collect())
        };
        let items = pages(count, |item| *item, page).collect::<anyhow::Result<Vec<u64>>>().unwrap();
        (items, asked)
    }

    #[test]
    fn a_list_is_read_in_pages_until_there_are_enough_or_no_more() {
        assert_eq!(read(20, 1_600), ((1_581..=1_600).rev().collect(), vec![20]));
        assert_eq!(read(1_200, 1_600), ((401..=1_600).rev().collect(), vec![PAGE, PAGE, 200]));
        assert_eq!(read(u32::MAX, 1_100), ((1..=1_100).rev().collect(), vec![PAGE; 3]));
        assert_eq!(read(5_000, 1_000), ((1..=1_000).rev().collect(), vec![PAGE; 3]));
        assert_eq!(read(20, 0), (vec![], vec![20]));
        assert_eq!(read(0, 5), (vec![], vec![]));
    }

    #[test]
    fn an_error_ends_the_list() {
        let page = |most: u32, before: Option<Number>| match before {
            None => Ok((1_000..).take(most as usize).collect::<Vec<u64>>()),
            Some(_) => anyhow::bail!("damaged"),
        };
        let items: Vec<_> = pages(5_000, |item| *item, page).collect();
        assert_eq!(items.iter().filter(|item| item.is_ok()).count(), PAGE as usize);
        assert_eq!(items.len(), PAGE as usize + 1);
    }
}
