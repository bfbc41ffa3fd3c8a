//! An order of points in which neighbours are alike.

/// The order of the leaves of the tree of average linkage (Sokal and Michener 1958) over `points`, in which two branches are laid side by
/// side so that the points that meet are the closest of the four that can. Of equal distances the first points are taken. `distances` is
/// `[any, any]`, row-major, of `all` points, of which `points` are ordered.
///
/// # Panics
/// If the matrix is smaller than `all` squared, or a point is not in it.
#[must_use]
pub fn similar_side_by_side(distances: &[f64], all: usize, points: &[usize]) -> Vec<usize> {
    let n = points.len();
    let between = |a: usize, b: usize| distances[a * all + b];
    let mut linked: Vec<f64> =
        points.iter().flat_map(|&a| points.iter().map(move |&b| between(a, b))).collect();
    let mut branches: Vec<Vec<usize>> = points.iter().map(|&p| vec![p]).collect();
    let mut alive: Vec<usize> = (0..n).collect();
    let mut chain: Vec<usize> = Vec::new();
    while alive.len() > 1 {
        // A chain of nearest neighbours ends in two that are each other's (Murtagh 1983).
        let top = *chain.last().unwrap_or(&alive[0]);
        if chain.is_empty() {
            chain.push(top);
        }
        let before = chain.len().checked_sub(2).map(|at| chain[at]);
        let closer = |a: usize, b: usize| linked[top * n + a].total_cmp(&linked[top * n + b]);
        let others = alive.iter().copied().filter(|&c| c != top);
        // Among equally near ones the one before in the chain, or the chain would not end.
        let nearest = others.min_by(|&a, &b| {
            closer(a, b).then((Some(b) == before).cmp(&(Some(a) == before))).then(a.cmp(&b))
        });
        let Some(nearest) = nearest else { break };
        if Some(nearest) != before {
            chain.push(nearest);
            continue;
        }
        chain.truncate(chain.len() - 2);
        let (kept, gone) = (top.min(nearest), top.max(nearest));
        let sizes = [kept, gone].map(|c| branches[c].len() as f64);
        for &other in alive.iter().filter(|&&c| c != kept && c != gone) {
            let mean = (sizes[0] * linked[kept * n + other] + sizes[1] * linked[gone * n + other])
                / (sizes[0] + sizes[1]);
            linked[kept * n + other] = mean;
            linked[other * n + kept] = mean;
        }
        alive.retain(|&c| c != gone);
        let (first, second) = (std::mem::take(&mut branches[kept]), std::mem::take(&mut branches[gone]));
        branches[kept] = joined(first, second, between);
    }
    let mut order = alive.first().map_or(Vec::new(), |&root| std::mem::take(&mut branches[root]));
    if order.first() > order.last() {
        order.reverse();
    }
    order
}

/// Two branches side by side, each turned so that the ends that meet are the closest.
fn joined(mut a: Vec<usize>, mut b: Vec<usize>, between: impl Fn(usize, usize) -> f64) -> Vec<usize> {
    let ends = |v: &[usize]| [v.first().copied().unwrap_or(0), v.last().copied().unwrap_or(0)];
    let ([a_first, a_last], [b_first, b_last]) = (ends(&a), ends(&b));
    let ways = [
        (a_last, b_first, false, false),
        (a_last, b_last, false, true),
        (a_first, b_first, true, false),
        (a_first, b_last, true, true),
    ];
    let best = ways.into_iter().min_by(|x, y| between(x.0, x.1).total_cmp(&between(y.0, y.1)));
    if let Some((_, _, turn_a, turn_b)) = best {
        if turn_a {
            a.reverse();
        }
        if turn_b {
            b.reverse();
        }
    }
    a.extend(b);
    a
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn on_a_line(places: &[f64]) -> Vec<f64> {
        places.iter().flat_map(|a| places.iter().map(move |b| (a - b).abs())).collect()
    }

    #[test]
    fn points_of_three_groups_stand_by_their_groups() {
        let places = [0.0, 10.0, 5.0, 0.1, 10.2, 5.1, 0.3, 9.9];
        let order = similar_side_by_side(&on_a_line(&places), 8, &(0..8).collect::<Vec<_>>());
        let ordered: Vec<f64> = order.iter().map(|&p| places[p]).collect();
        assert_eq!(ordered, [0.0, 0.1, 0.3, 5.0, 5.1, 9.9, 10.0, 10.2]);
    }

    proptest! {
        #![proptest_config(fmrai_core::property_config!(128))]

        #[test]
        fn every_point_has_one_place(places in proptest::collection::vec(0_u8..6, 0..24), from in 0_usize..4) {
            let places: Vec<f64> = places.into_iter().map(f64::from).collect();
            let points: Vec<usize> = (from.min(places.len())..places.len()).collect();
            let mut order = similar_side_by_side(&on_a_line(&places), places.len(), &points);
            order.sort_unstable();
            prop_assert_eq!(order, points);
        }
    }
}
