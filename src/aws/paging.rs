//! Lists that come in pages, read to their end.

use super::Fault;

/// Pages of one list at most. The longest that we read, an account's 2,000 stacks, has a few dozen; a service that never says
/// that it is at the end would otherwise be read for ever.
pub const PAGES_MAX: usize = 1_000;

/// One page of a list.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Page<T> {
    /// What is on it.
    pub items: Vec<T>,
    /// How to ask for the next; nothing on the last one.
    pub next: Option<String>,
}

/// Reads a list page by page, until it ends or `is_enough` says so of a page.
///
/// # Errors
/// What a call ended with, or [`Fault::Endless`].
pub async fn pages<T>(
    mut read: impl AsyncFnMut(Option<String>) -> Result<Page<T>, Fault>,
    is_enough: impl Fn(&[T]) -> bool,
) -> Result<Vec<T>, Fault> {
    let mut all = Vec::new();
    let mut next = None;
    for _ in 0..PAGES_MAX {
        let page = read(next).await?;
        let is_last = page.next.is_none() || is_enough(&page.items);
        all.extend(page.items);
        if is_last {
            return Ok(all);
        }
        next = page.next;
    }
    Err(Fault::Endless { pages: PAGES_MAX })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn page(item: u32, next: Option<&str>) -> Page<u32> {
        Page { items: vec![item], next: next.map(str::to_owned) }
    }

    #[tokio::test]
    async fn reads_to_the_end() {
        let read = async |token: Option<String>| Ok(if token.is_none() { page(1, Some("b")) } else { page(2, None) });
        assert_eq!(pages(read, |_| false).await, Ok(vec![1, 2]));
    }

    #[tokio::test]
    async fn stops_where_the_reader_has_seen_enough() {
        let read = async |_: Option<String>| Ok(page(1, Some("b")));
        assert_eq!(pages(read, |items| items.contains(&1)).await, Ok(vec![1]));
    }

    #[tokio::test]
    async fn a_list_without_end_ends() {
        let read = async |_: Option<String>| Ok(page(1, Some("again")));
        assert_eq!(pages(read, |_| false).await, Err(Fault::Endless { pages: PAGES_MAX }));
    }

    #[tokio::test]
    async fn a_page_that_fails_is_no_shorter_list() {
        let read = async |token: Option<String>| match token {
            None => Ok(page(1, Some("b"))),
            Some(_) => Err(Fault::Throttled { code: "Throttling".to_owned() }),
        };
        assert!(pages(read, |_| false).await.is_err());
    }
}
