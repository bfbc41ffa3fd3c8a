//! Boxes in layers: everything stands below what it takes something from and near it, and lines go around boxes. The page does the
//! same for what is open in it (`page/src/graph/layout.js`).

use std::collections::BTreeSet;

/// Room between boxes of a layer, and between layers.
const GAP: (f64, f64) = (14.0, 26.0);
/// Lanes for lines that skip layers; where there would be more, these lines are straight.
const LANES: usize = 20_000;

/// Where boxes and lines go.
#[derive(Debug, Clone, Default, PartialEq)]
pub(super) struct Layout {
    /// Width and height of all.
    pub(super) size: (f64, f64),
    /// Upper left corners.
    pub(super) places: Vec<(f64, f64)>,
    /// For each edge the points that its line goes through.
    pub(super) routes: Vec<Vec<(f64, f64)>>,
}

/// A box, or a lane of a line that goes past a layer.
struct Item {
    width: f64,
    layer: usize,
    boxed: Option<usize>,
}

/// Places boxes of these sizes. Edges lead from a box to a later one; others are drawn, and move nothing.
pub(super) fn layered(sizes: &[(f64, f64)], edges: &BTreeSet<(usize, usize)>) -> Layout {
    if sizes.is_empty() {
        return Layout::default();
    }
    let layers = layers(sizes.len(), edges);
    let forward = || edges.iter().copied().filter(|(from, to)| from < to);
    let skipped: usize = forward().map(|(from, to)| layers[to] - layers[from] - 1).sum();
    let mut items: Vec<Item> = sizes
        .iter()
        .zip(&layers)
        .enumerate()
        .map(|(i, (size, layer))| Item { width: size.0, layer: *layer, boxed: Some(i) })
        .collect();
    let mut above: Vec<Vec<usize>> = vec![Vec::new(); items.len()];
    let mut below = above.clone();
    let mut chains = Vec::new();
    for (from, to) in edges.iter().copied() {
        let mut chain = vec![from];
        if from < to && skipped <= LANES {
            for layer in layers[from] + 1..layers[to] {
                chain.push(items.len());
                items.push(Item { width: 4.0, layer, boxed: None });
                above.push(Vec::new());
                below.push(Vec::new());
            }
        }
        chain.push(to);
        if from < to {
            for pair in chain.windows(2) {
                below[pair[0]].push(pair[1]);
                above[pair[1]].push(pair[0]);
            }
        }
        chains.push(chain);
    }
    let depth = layers.iter().max().map_or(1, |layer| layer + 1);
    let mut rows = vec![Vec::new(); depth];
    items.iter().enumerate().for_each(|(i, item)| rows[item.layer].push(i));
    order(&mut rows, &above, &below);
    let widths: Vec<f64> = items.iter().map(|item| item.width).collect();
    let x = middles(&rows, &above, &below, &widths);

    let height =
        |row: &Vec<usize>| row.iter().filter_map(|i| items[*i].boxed).map(|b| sizes[b].1).fold(0.0, f64::max);
    let heights: Vec<f64> = rows.iter().map(height).collect();
    let mut tops = Vec::with_capacity(depth);
    let mut y = 0.0;
    for height in &heights {
        tops.push(y);
        y += height + GAP.1;
    }
    let left = x.iter().zip(&widths).map(|(x, w)| x - w / 2.0).fold(f64::INFINITY, f64::min);
    let right = x.iter().zip(&widths).map(|(x, w)| x + w / 2.0).fold(f64::NEG_INFINITY, f64::max);
    let middle = |i: usize| tops[items[i].layer] + heights[items[i].layer] / 2.0;
    let place = |(i, size): (usize, &(f64, f64))| (x[i] - left - size.0 / 2.0, middle(i) - size.1 / 2.0);
    let route = |chain: &Vec<usize>| {
        let mut points = Vec::new();
        for (at, i) in chain.iter().copied().enumerate() {
            let px = x[i] - left;
            match items[i].boxed {
                Some(b) => {
                    let half = if at == 0 { sizes[b].1 / 2.0 } else { -sizes[b].1 / 2.0 };
                    points.push((px, middle(i) + half));
                }
                None => {
                    let top = tops[items[i].layer];
                    points.extend([(px, top), (px, top + heights[items[i].layer])]);
                }
            }
        }
        points
    };
    Layout {
        size: (right - left, y - GAP.1),
        places: sizes.iter().enumerate().map(place).collect(),
        routes: chains.iter().map(route).collect(),
    }
}

/// The layer of each box: one below the lowest of those that it takes something from; what takes nothing stands just above what
/// takes something from it.
fn layers(boxes: usize, edges: &BTreeSet<(usize, usize)>) -> Vec<usize> {
    let mut layers = vec![0usize; boxes];
    let mut entered = vec![false; boxes];
    let mut by_end: Vec<(usize, usize)> = edges.iter().copied().filter(|(from, to)| from < to).collect();
    by_end.sort_by_key(|(from, to)| (*to, *from));
    for (from, to) in &by_end {
        layers[*to] = layers[*to].max(layers[*from] + 1);
        entered[*to] = true;
    }
    let mut nearest = vec![usize::MAX; boxes];
    for (from, to) in &by_end {
        nearest[*from] = nearest[*from].min(layers[*to]);
    }
    for i in (0..boxes).filter(|i| !entered[*i] && nearest[*i] != usize::MAX) {
        layers[i] = nearest[i].saturating_sub(1);
    }
    layers
}

/// Orders rows so that few lines cross: each item goes to the mean place of its neighbours, down and up in turns.
fn order(rows: &mut [Vec<usize>], above: &[Vec<usize>], below: &[Vec<usize>]) {
    let mut place = vec![0.0; above.len()];
    let number = |row: &[usize], place: &mut Vec<f64>| {
        row.iter().zip(0u32..).for_each(|(item, i)| place[*item] = f64::from(i));
    };
    rows.iter().for_each(|row| number(row, &mut place));
    for sweep in 0..6 {
        let down = sweep % 2 == 0;
        for at in 0..rows.len() {
            let row = if down {
                &mut rows[at]
            } else {
                let last = rows.len() - 1;
                &mut rows[last - at]
            };
            let near = if down { above } else { below };
            let wish = |item: usize| mean(&near[item], &place).unwrap_or(place[item]);
            let mut wished: Vec<(f64, usize)> = row.iter().map(|item| (wish(*item), *item)).collect();
            wished.sort_by(|a, b| a.0.total_cmp(&b.0).then(a.1.cmp(&b.1)));
            *row = wished.into_iter().map(|(_, item)| item).collect();
            number(row, &mut place);
        }
    }
}

fn mean(items: &[usize], of: &[f64]) -> Option<f64> {
    #[expect(clippy::cast_precision_loss, reason = "a number of neighbours")]
    let count = items.len() as f64;
    (!items.is_empty()).then(|| items.iter().map(|i| of[*i]).sum::<f64>() / count)
}

/// Middles of items: as near to their neighbours as order and widths allow.
fn middles(rows: &[Vec<usize>], above: &[Vec<usize>], below: &[Vec<usize>], widths: &[f64]) -> Vec<f64> {
    let mut x = vec![0.0; widths.len()];
    for row in rows {
        let mut at = 0.0;
        for item in row {
            x[*item] = at + widths[*item] / 2.0;
            at += widths[*item] + GAP.0;
        }
        row.iter().for_each(|item| x[*item] -= at / 2.0);
    }
    for sweep in 0..8 {
        let down = sweep % 2 == 0;
        for at in 0..rows.len() {
            let row = if down { &rows[at] } else { &rows[rows.len() - 1 - at] };
            let wish = |item: &usize| {
                let mut near = above[*item].clone();
                if sweep > 1 || !down {
                    near.extend(&below[*item]);
                }
                mean(&near, &x).unwrap_or(x[*item])
            };
            let wishes: Vec<f64> = row.iter().map(wish).collect();
            for (item, at) in row.iter().zip(apart(row, &wishes, widths)) {
                x[*item] = at;
            }
        }
    }
    x
}

/// The places nearest to what is wished, by least squares, at which nothing overlaps (pool adjacent violators).
fn apart(row: &[usize], wishes: &[f64], widths: &[f64]) -> Vec<f64> {
    let mut offsets = vec![0.0];
    for pair in row.windows(2) {
        let last = offsets[offsets.len() - 1];
        offsets.push(last + (widths[pair[0]] + widths[pair[1]]) / 2.0 + GAP.0);
    }
    let mut pools: Vec<(f64, f64)> = Vec::new();
    for (wish, offset) in wishes.iter().zip(&offsets) {
        let mut pool = (wish - offset, 1.0);
        while let Some(last) = pools.last().filter(|last| last.0 / last.1 > pool.0 / pool.1) {
            pool = (pool.0 + last.0, pool.1 + last.1);
            pools.pop();
        }
        pools.push(pool);
    }
    let mut bases = Vec::with_capacity(row.len());
    for (sum, count) in pools {
        #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "a number of items")]
        bases.extend(std::iter::repeat_n(sum / count, count as usize));
    }
    bases.iter().zip(&offsets).map(|(base, offset)| base + offset).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn boxes_stand_below_what_they_take_and_do_not_overlap() {
        let sizes = vec![(40.0, 20.0), (60.0, 20.0), (30.0, 20.0), (50.0, 20.0), (40.0, 20.0)];
        // A diamond whose first box is also taken by the last one, past two layers.
        let edges = BTreeSet::from([(0, 1), (0, 2), (1, 3), (2, 3), (3, 4), (0, 4)]);
        let layout = layered(&sizes, &edges);
        for (from, to) in &edges {
            assert!(layout.places[*to].1 >= layout.places[*from].1 + 20.0 + GAP.1 - 1e-9);
        }
        let right_of = |i: usize| layout.places[i].0 + sizes[i].0;
        assert!(right_of(1) <= layout.places[2].0 || right_of(2) <= layout.places[1].0);
        assert!(layout.places.iter().all(|(x, y)| *x >= -1e-9 && *y >= -1e-9));
        let long = edges.iter().position(|edge| *edge == (0, 4)).unwrap();
        assert_eq!(layout.routes[long].len(), 6, "its own lane past two layers");
        assert_eq!(layered(&[], &BTreeSet::new()), Layout::default());
    }

    #[test]
    fn wishes_are_kept_where_there_is_room() {
        let widths = [10.0, 10.0, 10.0];
        assert_eq!(apart(&[0, 1, 2], &[0.0, 100.0, 200.0], &widths), [0.0, 100.0, 200.0]);
        let near = apart(&[0, 1, 2], &[50.0, 50.0, 50.0], &widths);
        assert_eq!(near, [26.0, 50.0, 74.0]);
    }
}
