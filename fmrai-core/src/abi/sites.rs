//! Sites, variants and objectives as C has them.

use super::raw::experiment as raw;
use super::raw::slice;
use crate::experiment::{
    Answer, Axis, Change, Edit, Element, GradientPath, Layout, Measure, Objective, Place, Reference, Site,
    Size, Variant,
};
use crate::graph::{OperationId, TensorId};
use crate::tensor::TensorValue;

/// Memory that what is lent points at.
#[derive(Default)]
pub(super) struct Lending {
    words: Vec<Vec<u32>>,
    numbers: Vec<Vec<f64>>,
    places: Vec<Vec<raw::Places>>,
    edits: Vec<Vec<raw::Edit>>,
    targets: Vec<Vec<raw::Target>>,
    sites: Vec<Vec<raw::Site>>,
}

fn kept<T>(all: &mut Vec<Vec<T>>, one: Vec<T>) -> *const T {
    let pointer = if one.is_empty() { std::ptr::null() } else { one.as_ptr() };
    all.push(one);
    pointer
}

fn word(number: usize) -> Result<u32, String> {
    u32::try_from(number).map_err(|_| format!("{number} is more than 32 bits hold"))
}

fn words(numbers: &[usize]) -> Result<Vec<u32>, String> {
    numbers.iter().map(|number| word(*number)).collect()
}

const AXES: [(Axis, u32); 5] = [
    (Axis::Row, raw::AXIS_ROW),
    (Axis::Head, raw::AXIS_HEAD),
    (Axis::Position, raw::AXIS_POSITION),
    (Axis::Key, raw::AXIS_KEY),
    (Axis::Channel, raw::AXIS_CHANNEL),
];

fn code_of(axis: Axis) -> u32 {
    AXES.iter().find(|(known, _)| *known == axis).map_or(0, |(_, code)| *code)
}

fn axis_of(code: u32) -> Result<Axis, String> {
    let found = AXES.iter().find(|(_, known)| *known == code);
    found.map(|(axis, _)| *axis).ok_or_else(|| format!("there is no axis {code}"))
}

/// A site as C has it.
pub(super) fn lent_site(site: &Site) -> Result<raw::Site, String> {
    let (place, id) = match site.place {
        Place::Tensor(id) => (raw::PLACE_TENSOR, id.0),
        Place::Scores(operation) => (raw::PLACE_SCORES, operation.0),
    };
    let layout = &site.layout.0;
    if layout.len() > raw::MOST_AXES {
        return Err(format!("a site has {} axes, at most {} can be told", layout.len(), raw::MOST_AXES));
    }
    let mut axes = [raw::Axis { axis: 0, kind: 0, size: 0 }; raw::MOST_AXES];
    for (axis, (meaning, size)) in axes.iter_mut().zip(layout) {
        let (kind, size) = match size {
            Size::Rows => (raw::SIZE_ROWS, 0),
            Size::Known(size) => (raw::SIZE_KNOWN, *size as u64),
            Size::Like(back) => (raw::SIZE_LIKE, *back as u64),
            Size::Rest => (raw::SIZE_REST, 0),
        };
        *axis = raw::Axis { axis: code_of(*meaning), kind, size };
    }
    Ok(raw::Site { place, id, n_axes: word(layout.len())?, reserved: 0, axes })
}

/// A site of the other side.
pub(super) fn read_site(site: &raw::Site) -> Result<Site, String> {
    let place = match site.place {
        raw::PLACE_TENSOR => Place::Tensor(TensorId(site.id)),
        raw::PLACE_SCORES => Place::Scores(OperationId(site.id)),
        other => return Err(format!("there is no kind of place {other}")),
    };
    let axes = site.axes.get(..site.n_axes as usize);
    let axes = axes.ok_or_else(|| format!("a site has {} axes, at most {}", site.n_axes, raw::MOST_AXES))?;
    let mut layout = Vec::with_capacity(axes.len());
    for axis in axes {
        let number = usize::try_from(axis.size).map_err(|e| e.to_string())?;
        let size = match axis.kind {
            raw::SIZE_ROWS => Size::Rows,
            raw::SIZE_KNOWN => Size::Known(number),
            raw::SIZE_LIKE => Size::Like(number),
            raw::SIZE_REST => Size::Rest,
            other => return Err(format!("there is no kind of size {other}")),
        };
        layout.push((axis_of(axis.axis)?, size));
    }
    Ok(Site { place, layout: Layout(layout) })
}

impl Lending {
    fn words(&mut self, numbers: &[usize]) -> Result<*const u32, String> {
        let all = words(numbers)?;
        Ok(kept(&mut self.words, all))
    }

    fn tokens(&mut self, tokens: &[u32]) -> *const u32 {
        kept(&mut self.words, tokens.to_vec())
    }

    /// Variants as C has them; `hold` gives a value to the other side and says its handle.
    pub(super) fn variants(
        &mut self,
        variants: &[Variant],
        hold: &mut dyn FnMut(&TensorValue) -> Result<u64, String>,
    ) -> Result<Vec<raw::Variant>, String> {
        let mut lent = Vec::with_capacity(variants.len());
        for variant in variants {
            let edits = variant.edits.iter().map(|edit| self.edit(edit, hold)).collect::<Result<_, _>>()?;
            lent.push(raw::Variant {
                rows: self.words(&variant.rows)?,
                edits: kept(&mut self.edits, edits),
                n_rows: word(variant.rows.len())?,
                n_edits: word(variant.edits.len())?,
            });
        }
        Ok(lent)
    }

    fn edit(
        &mut self,
        edit: &Edit,
        hold: &mut dyn FnMut(&TensorValue) -> Result<u64, String>,
    ) -> Result<raw::Edit, String> {
        let mut part = Vec::with_capacity(edit.part.len());
        for (axis, places) in &edit.part {
            let (n, places) = (word(places.len())?, self.words(places)?);
            part.push(raw::Places { axis: code_of(*axis), n, places });
        }
        let none: &[usize] = &[];
        let (change, clean, value, number) = match &edit.change {
            Change::Zero => (raw::CHANGE_ZERO, none, 0, 0.0),
            Change::Clean(rows) => (raw::CHANGE_CLEAN, rows.as_slice(), 0, 0.0),
            Change::Set(value) => (raw::CHANGE_SET, none, hold(value)?, 0.0),
            Change::Add(value, strength) => (raw::CHANGE_ADD, none, hold(value)?, *strength),
            Change::Scale(factor) => (raw::CHANGE_SCALE, none, 0, *factor),
            Change::Project(direction) => (raw::CHANGE_PROJECT, none, hold(direction)?, 0.0),
            Change::Apply(_) => return Err("a function cannot be handed to another library".to_owned()),
        };
        let rows = edit.rows.as_deref();
        // An empty list is none: NULL stands for all rows.
        if rows.is_some_and(<[usize]>::is_empty) {
            return Err("an edit of no row".to_owned());
        }
        Ok(raw::Edit {
            site: lent_site(&edit.site)?,
            change,
            n_part: word(part.len())?,
            part: kept(&mut self.places, part),
            rows: self.words(rows.unwrap_or_default())?,
            clean: self.words(clean)?,
            n_rows: word(rows.map_or(0, <[usize]>::len))?,
            n_clean: word(clean.len())?,
            value,
            number,
        })
    }

    /// Objectives as C has them.
    pub(super) fn objectives(&mut self, objectives: &[Objective]) -> Result<Vec<raw::Objective>, String> {
        objectives.iter().map(|objective| self.objective(objective)).collect()
    }

    fn objective(&mut self, objective: &Objective) -> Result<raw::Objective, String> {
        let (measure, logits, site, targets) = match objective {
            Objective::Logits { logits, measure } => {
                let (code, targets) = self.measure(measure)?;
                (code, logits.0, std::ptr::null(), targets)
            }
            Objective::Elements { site, rows } => {
                let pointer = kept(&mut self.sites, vec![lent_site(site)?]);
                let mut targets = Vec::with_capacity(rows.len());
                for elements in rows {
                    let places: Vec<usize> =
                        elements.iter().flat_map(|element| element.at.iter().copied()).collect();
                    let weights = elements.iter().map(|element| element.weight).collect();
                    targets.push(raw::Target {
                        n: word(elements.len())?,
                        places: self.words(&places)?,
                        weights: kept(&mut self.numbers, weights),
                        ..NO_TARGET
                    });
                }
                (raw::MEASURE_ELEMENTS, u32::MAX, pointer, targets)
            }
            Objective::Apply { .. } => {
                return Err("a function cannot be handed to another library".to_owned());
            }
        };
        let n_rows = word(targets.len())?;
        let rows = kept(&mut self.targets, targets);
        Ok(raw::Objective { measure, logits, site, rows, n_rows, reserved: 0 })
    }

    fn measure(&mut self, measure: &Measure) -> Result<(u32, Vec<raw::Target>), String> {
        let mut answers = |rows: &[Answer]| -> Result<Vec<raw::Target>, String> {
            let each = rows.iter().map(|answer| {
                Ok(raw::Target {
                    n: 1,
                    places: self.words(&[answer.position])?,
                    n_right: word(answer.right.len())?,
                    right: self.tokens(&answer.right),
                    n_wrong: word(answer.wrong.len())?,
                    wrong: self.tokens(&answer.wrong),
                    ..NO_TARGET
                })
            });
            each.collect()
        };
        Ok(match measure {
            Measure::LogitDifference(rows) => (raw::MEASURE_LOGIT_DIFFERENCE, answers(rows)?),
            Measure::Probability(rows) => (raw::MEASURE_PROBABILITY, answers(rows)?),
            Measure::Loss(rows) => (raw::MEASURE_LOSS, answers(rows)?),
            Measure::NextToken(rows) => {
                let mut targets = Vec::with_capacity(rows.len());
                for row in rows {
                    let (places, tokens): (Vec<usize>, Vec<u32>) = row.iter().copied().unzip();
                    let n = word(row.len())?;
                    targets.push(raw::Target {
                        n,
                        places: self.words(&places)?,
                        n_right: n,
                        right: self.tokens(&tokens),
                        ..NO_TARGET
                    });
                }
                (raw::MEASURE_NEXT_TOKEN, targets)
            }
            Measure::Divergence(rows) => {
                let mut targets = Vec::with_capacity(rows.len());
                for reference in rows {
                    targets.push(raw::Target {
                        row: word(reference.row)?,
                        n: word(reference.positions.len())?,
                        places: self.words(&reference.positions)?,
                        ..NO_TARGET
                    });
                }
                (raw::MEASURE_DIVERGENCE, targets)
            }
        })
    }

    /// Paths as C has them.
    pub(super) fn paths(&mut self, paths: &[GradientPath]) -> Result<Vec<raw::Path>, String> {
        let mut lent = Vec::with_capacity(paths.len());
        for GradientPath { to, through, heads } in paths {
            let through = match through {
                None => std::ptr::null(),
                Some(through) => kept(&mut self.sites, vec![lent_site(through)?]),
            };
            let (n_heads, heads) = (word(heads.len())?, self.words(heads)?);
            lent.push(raw::Path { to: lent_site(to)?, through, heads, n_heads, reserved: 0 });
        }
        Ok(lent)
    }
}

const NO_TARGET: raw::Target = raw::Target {
    row: 0,
    n: 0,
    n_right: 0,
    n_wrong: 0,
    places: std::ptr::null(),
    right: std::ptr::null(),
    wrong: std::ptr::null(),
    weights: std::ptr::null(),
};

/// # Safety
/// `pointer` is NULL or points at so many numbers.
unsafe fn places(pointer: *const u32, count: u32) -> Result<Vec<usize>, String> {
    if pointer.is_null() && count > 0 {
        return Err(format!("a list of {count} is NULL"));
    }
    // SAFETY: the caller's promise.
    Ok(unsafe { slice(pointer, count as usize) }.iter().map(|number| *number as usize).collect())
}

/// # Safety
/// As for [`places`].
unsafe fn tokens(pointer: *const u32, count: u32) -> Result<Vec<u32>, String> {
    if pointer.is_null() && count > 0 {
        return Err(format!("a list of {count} tokens is NULL"));
    }
    // SAFETY: the caller's promise.
    Ok(unsafe { slice(pointer, count as usize) }.to_vec())
}

/// Variants of the other side; `value` finds a tensor by its handle.
///
/// # Safety
/// The pointers of the variants are valid for the numbers beside them.
pub(super) unsafe fn read_variants(
    variants: &[raw::Variant],
    value: &dyn Fn(u64) -> Result<TensorValue, String>,
) -> Result<Vec<Variant>, String> {
    let mut read = Vec::with_capacity(variants.len());
    for variant in variants {
        // SAFETY: the caller's promise, here and below.
        let rows = unsafe { places(variant.rows, variant.n_rows) }?;
        // SAFETY: as above.
        let edits = unsafe { slice(variant.edits, variant.n_edits as usize) };
        // SAFETY: as above.
        let edits = edits.iter().map(|edit| unsafe { read_edit(edit, value) }).collect::<Result<_, _>>()?;
        read.push(Variant { rows, edits });
    }
    Ok(read)
}

/// # Safety
/// As for [`read_variants`].
unsafe fn read_edit(
    edit: &raw::Edit,
    value: &dyn Fn(u64) -> Result<TensorValue, String>,
) -> Result<Edit, String> {
    let mut part = Vec::with_capacity(edit.n_part as usize);
    // SAFETY: the caller's promise, here and below.
    for along in unsafe { slice(edit.part, edit.n_part as usize) } {
        // SAFETY: as above.
        part.push((axis_of(along.axis)?, unsafe { places(along.places, along.n) }?));
    }
    let change = match edit.change {
        raw::CHANGE_ZERO => Change::Zero,
        // SAFETY: as above.
        raw::CHANGE_CLEAN => Change::Clean(unsafe { places(edit.clean, edit.n_clean) }?),
        raw::CHANGE_SET => Change::Set(value(edit.value)?),
        raw::CHANGE_ADD => Change::Add(value(edit.value)?, edit.number),
        raw::CHANGE_SCALE => Change::Scale(edit.number),
        raw::CHANGE_PROJECT => Change::Project(value(edit.value)?),
        other => return Err(format!("there is no change {other}")),
    };
    // SAFETY: as above.
    let rows = if edit.rows.is_null() { None } else { Some(unsafe { places(edit.rows, edit.n_rows) }?) };
    Ok(Edit { site: read_site(&edit.site)?, rows, part, change })
}

/// An objective of the other side.
///
/// # Safety
/// The pointers of the objective are valid for the numbers beside them.
pub(super) unsafe fn read_objective(objective: &raw::Objective) -> Result<Objective, String> {
    // SAFETY: the caller's promise, here and below.
    let targets = unsafe { slice(objective.rows, objective.n_rows as usize) };
    if objective.measure == raw::MEASURE_ELEMENTS {
        // SAFETY: as above.
        let site = unsafe { objective.site.as_ref() }.ok_or("the site of an objective is NULL")?;
        let site = read_site(site)?;
        let each = site.layout.0.len().saturating_sub(1);
        let mut rows = Vec::with_capacity(targets.len());
        for target in targets {
            let all = u32::try_from(each as u64 * u64::from(target.n)).map_err(|e| e.to_string())?;
            // SAFETY: as above.
            let all = unsafe { places(target.places, all) }?;
            // SAFETY: as above.
            let weights = unsafe { slice(target.weights, target.n as usize) };
            let element = |n: usize| Element {
                at: all[n * each..(n + 1) * each].to_vec(),
                weight: weights.get(n).copied().unwrap_or(1.0),
            };
            rows.push((0..target.n as usize).map(element).collect());
        }
        return Ok(Objective::Elements { site, rows });
    }
    let answers = || -> Result<Vec<Answer>, String> {
        let each = targets.iter().map(|target| {
            // SAFETY: as above.
            let [position] = unsafe { places(target.places, target.n) }?[..] else {
                return Err(format!("an answer has {} positions, needed 1", target.n));
            };
            // SAFETY: as above.
            let right = unsafe { tokens(target.right, target.n_right) }?;
            // SAFETY: as above.
            let wrong = unsafe { tokens(target.wrong, target.n_wrong) }?;
            Ok(Answer { position, right, wrong })
        });
        each.collect()
    };
    let measure = match objective.measure {
        raw::MEASURE_LOGIT_DIFFERENCE => Measure::LogitDifference(answers()?),
        raw::MEASURE_PROBABILITY => Measure::Probability(answers()?),
        raw::MEASURE_LOSS => Measure::Loss(answers()?),
        raw::MEASURE_NEXT_TOKEN => {
            let each = targets.iter().map(|target| {
                if target.n != target.n_right {
                    let (positions, tokens) = (target.n, target.n_right);
                    return Err(format!("a row has {positions} positions and {tokens} tokens"));
                }
                // SAFETY: as above.
                let positions = unsafe { places(target.places, target.n) }?;
                // SAFETY: as above.
                let tokens = unsafe { tokens(target.right, target.n_right) }?;
                Ok(positions.into_iter().zip(tokens).collect())
            });
            Measure::NextToken(each.collect::<Result<_, _>>()?)
        }
        raw::MEASURE_DIVERGENCE => {
            let each = targets.iter().map(|target| {
                // SAFETY: as above.
                let positions = unsafe { places(target.places, target.n) }?;
                Ok(Reference { row: target.row as usize, positions })
            });
            Measure::Divergence(each.collect::<Result<_, String>>()?)
        }
        other => return Err(format!("there is no measure {other}")),
    };
    Ok(Objective::Logits { logits: TensorId(objective.logits), measure })
}

/// A path of the other side.
///
/// # Safety
/// The pointers of the path are valid for the numbers beside them.
pub(super) unsafe fn read_path(path: &raw::Path) -> Result<GradientPath, String> {
    // SAFETY: the caller's promise, here and below.
    let through = unsafe { path.through.as_ref() }.map(read_site).transpose()?;
    // SAFETY: as above.
    let heads = unsafe { places(path.heads, path.n_heads) }?;
    Ok(GradientPath { to: read_site(&path.to)?, through, heads })
}
