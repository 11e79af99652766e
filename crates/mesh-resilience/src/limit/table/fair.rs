//! Max-min fairness in whole numbers.

/// Parts of `whole` for those that want so much: nobody gets more than it wants while another gets less than it wants
/// and less than that; what nobody wants is split evenly. `turn` decides who gets what cannot be split, so that over
/// many turns everybody does. The parts add up to `whole`.
pub(super) fn parts(whole: u64, wants: &[u64], turn: usize) -> Vec<u64> {
    let count = wants.len();
    let mut parts = vec![0; count];
    let mut order: Vec<usize> = (0..count).map(|index| (index + turn) % count).collect();
    // Stable: equals stay in the order of their turn.
    order.sort_by_key(|&index| wants[index]);
    let mut left = whole;
    for (done, &index) in order.iter().enumerate() {
        parts[index] = wants[index].min(left / as_u64(count - done));
        left -= parts[index];
    }
    for (done, &index) in order.iter().enumerate() {
        let more = left / as_u64(count - done);
        parts[index] += more;
        left -= more;
    }
    parts
}

fn as_u64(count: usize) -> u64 {
    u64::try_from(count).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::parts;

    #[test]
    fn who_wants_little_gets_it_and_the_rest_is_shared_evenly() {
        assert_eq!(parts(100, &[10, 80, 80], 0), [10, 45, 45]);
        assert_eq!(parts(100, &[0, 0], 0), [50, 50]);
        assert_eq!(parts(100, &[20, 10], 0), [55, 45]);
        assert_eq!(parts(0, &[20, 10], 0), [0, 0]);
    }

    #[test]
    fn what_cannot_be_split_goes_round() {
        let mut had = [0; 3];
        for turn in 0..9 {
            for (sum, part) in had.iter_mut().zip(parts(1, &[5, 5, 5], turn)) {
                *sum += part;
            }
        }
        assert_eq!(had, [3, 3, 3]);
    }

    proptest! {
        #[test]
        fn the_parts_add_up_to_the_whole_and_are_fair(
            whole: u64,
            wants in prop::collection::vec(prop_oneof![0_u64..1_000, any::<u64>()], 1..20),
            turn in 0_usize..100,
        ) {
            let parts = parts(whole, &wants, turn);
            prop_assert_eq!(parts.iter().map(|part| u128::from(*part)).sum::<u128>(), u128::from(whole));
            for (part, want) in parts.iter().zip(&wants) {
                if part < want {
                    // Nobody got more than one more, unless it is the remainder of a division.
                    prop_assert!(parts.iter().all(|other| *other <= part.saturating_add(1)));
                }
            }
        }
    }
}
