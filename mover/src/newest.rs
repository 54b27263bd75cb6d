//! Of what has come, what still counts.

/// Leaves out of a batch what something newer in it takes the place of: of those with
/// the same key, only the last one stays. All without a key stay, and the order does.
pub fn newest<T, K: PartialEq>(batch: Vec<T>, key: impl Fn(&T) -> Option<K>) -> Vec<T> {
    let mut seen = Vec::new();
    let mut kept: Vec<T> = Vec::with_capacity(batch.len());
    for one in batch.into_iter().rev() {
        match key(&one) {
            Some(key) if seen.contains(&key) => continue,
            key => seen.extend(key),
        }
        kept.push(one);
    }
    kept.reverse();
    kept
}

#[cfg(test)]
mod tests {
    use super::newest;

    #[test]
    fn the_newest_takes_the_place_of_older_ones_and_the_rest_keeps_its_order() {
        let batch = vec![(1, 'a'), (0, 'b'), (2, 'c'), (1, 'd'), (0, 'e'), (1, 'f')];
        let key = |(number, _): &(u32, char)| (*number > 0).then_some(*number);
        let kept: String = newest(batch, key).iter().map(|(_, what)| what).collect();
        assert_eq!(kept, "bcef");
    }
}
