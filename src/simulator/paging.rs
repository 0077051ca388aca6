//! Cuts lists into pages. Every list of the local cloud pages, so that a client which forgets to is found out.

use super::refusal::Refusal;

/// One page and the token of the next.
pub(crate) struct Page<T> {
    pub(crate) entries: Vec<T>,
    pub(crate) next: Option<String>,
}

const TOKEN_PREFIX: &str = "page-";

/// The page that begins where the token says.
pub(crate) fn page<T>(entries: Vec<T>, token: Option<&str>, size: usize) -> Result<Page<T>, Refusal> {
    let start = match token {
        None => 0,
        Some(token) => token
            .strip_prefix(TOKEN_PREFIX)
            .and_then(|digits| digits.parse::<usize>().ok())
            .ok_or_else(|| Refusal::validation("Invalid pagination token"))?,
    };
    let size = size.max(1);
    // A list may have become shorter since the token was given: then nothing more is on it.
    let next = (entries.len().saturating_sub(start) > size).then(|| format!("{TOKEN_PREFIX}{}", start + size));
    let entries = entries.into_iter().skip(start).take(size).collect();
    Ok(Page { entries, next })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pages_add_up_to_the_list() {
        let mut seen = Vec::new();
        let mut token = None;
        for _ in 0..3 {
            let page = page((0..5).collect(), token.as_deref(), 2).expect("a token of ours");
            seen.extend(page.entries);
            token = page.next;
        }
        assert_eq!((seen, token), (vec![0, 1, 2, 3, 4], None));
    }

    #[test]
    fn a_bad_token_is_an_error() {
        assert!(page(vec![1], Some("x"), 2).is_err());
    }

    // A deployment ended because another run deleted a change set between two pages of the list.
    #[test]
    fn a_list_that_became_shorter_ends() {
        let page = page(vec![1], Some("page-2"), 2).expect("a token of ours");
        assert_eq!((page.entries, page.next), (Vec::new(), None));
    }
}
