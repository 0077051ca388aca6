//! The order of stacks: what must be up before what.
//!
//! A stable topological sort that names the way of a cycle; a graph library would bring more code than it replaces.

use std::collections::BTreeMap;

/// What each stack waits for, by name.
pub type Needs = BTreeMap<String, Vec<String>>;

/// All names, each after what it needs; otherwise in the given order.
///
/// Needs that are no names of `order` are passed over: they are mistakes of their own.
///
/// # Errors
/// The way of the first cycle, its first name repeated at the end.
pub fn sorted(order: &[String], needs: &Needs) -> Result<Vec<String>, Vec<String>> {
    let mut walk = Walk { order, needs, done: Vec::new(), open: Vec::new() };
    for name in order {
        walk.visit(name)?;
    }
    Ok(walk.done)
}

struct Walk<'a> {
    order: &'a [String],
    needs: &'a Needs,
    done: Vec<String>,
    open: Vec<&'a String>,
}

impl<'a> Walk<'a> {
    fn visit(&mut self, name: &'a String) -> Result<(), Vec<String>> {
        if self.done.contains(name) {
            return Ok(());
        }
        if let Some(position) = self.open.iter().position(|open| *open == name) {
            let way = self.open[position..].iter().copied().chain([name]);
            return Err(way.cloned().collect());
        }
        self.open.push(name);
        for needed in self.needs.get(name).into_iter().flatten() {
            if self.order.contains(needed) {
                self.visit(needed)?;
            }
        }
        self.open.pop();
        self.done.push(name.clone());
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn needs(pairs: &[(&str, &[&str])]) -> (Vec<String>, Needs) {
        let order = pairs.iter().map(|(name, _)| (*name).to_string()).collect();
        let needs = pairs
            .iter()
            .map(|(name, needs)| ((*name).to_string(), needs.iter().map(|it| (*it).to_string()).collect()))
            .collect();
        (order, needs)
    }

    #[test]
    fn what_is_needed_comes_first_and_the_rest_stays() {
        let (order, needs) = needs(&[("api", &["db", "net"]), ("db", &["net"]), ("elk", &[]), ("net", &[])]);
        assert_eq!(sorted(&order, &needs).expect("an order"), ["net", "db", "api", "elk"]);
    }

    #[test]
    fn a_cycle_is_told_with_its_way() {
        let (order, needs) = needs(&[("a", &["b"]), ("b", &["c"]), ("c", &["b"])]);
        assert_eq!(sorted(&order, &needs).expect_err("a cycle"), ["b", "c", "b"]);
    }

    #[test]
    fn needs_of_elsewhere_are_passed_over() {
        let (order, needs) = needs(&[("a", &["x"])]);
        assert_eq!(sorted(&order, &needs).expect("an order"), ["a"]);
    }
}
