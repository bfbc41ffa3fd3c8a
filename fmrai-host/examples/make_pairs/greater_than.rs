//! A later year: something lasts from one year of a century to another one, whose last two digits are asked for. Later years are
//! right; all others are wrong, the year of the start among them.

use rand_xoshiro::Xoshiro256PlusPlus;

use super::Fallible;
use super::draft::{Draft, Task, one_of};
use super::fillers::{Fillers, enough};

const EVENTS: [&str; 24] = [
    "war", "siege", "trial", "voyage", "drought", "strike", "project", "journey", "famine", "dispute",
    "crisis", "reign", "peace", "plague", "revolt", "building", "search", "study", "tour", "mission",
    "winter", "campaign", "debate", "exile",
];

/// A century of which the tokenizer cuts years into the century and the rest.
struct Century {
    /// The first two digits.
    digits: String,
    /// The last two digits of years that are cut so, in their order.
    years: Vec<u32>,
    /// The last two digits that are a token which may follow the century, in their order.
    answers: Vec<u32>,
}

impl Century {
    /// A century with its years that the tokenizer cuts so. Others, such as 1800, it may have as one token, or cut elsewhere.
    fn of(century: u32, fillers: &mut Fillers<'_>) -> Self {
        let digits = century.to_string();
        let last = |year: u32| format!("{year:02}");
        let cut = |year: u32| fillers.token(&format!("the year {digits}"), &last(year));
        let years: Vec<u32> = (0..100).filter(|year| cut(*year).is_some()).collect();
        // The digits of another year follow the century too, where digits are the same token within a number and by themselves.
        let same = years.iter().all(|year| cut(*year) == fillers.alone(&last(*year)));
        let follows = |year: &u32| years.contains(year) || same && fillers.alone(&last(*year)).is_some();
        let answers = (0..100).filter(follows).collect();
        for year in (0..100).filter(|year| !years.contains(year)) {
            fillers.leave_out("start years", format!("{digits}{}", last(year)));
        }
        Self { digits, years, answers }
    }

    /// Years that something can start in: with a later one, an earlier one, and 01 for the corrupted text.
    fn starts(&self) -> Vec<u32> {
        let last = self.answers.last().copied().unwrap_or(0);
        let starts = self.years.iter().copied().filter(|year| (2..last).contains(year));
        if self.years.contains(&1) { starts.collect() } else { Vec::new() }
    }
}

struct GreaterThan {
    events: Vec<&'static str>,
    centuries: Vec<Century>,
}

/// The task with the words and years that the tokenizer has.
pub(crate) fn task(fillers: &mut Fillers<'_>) -> Fallible<Box<dyn Task>> {
    let events = fillers.keep("events", &EVENTS, |event| vec![event], 2);
    let mut centuries: Vec<Century> = (11..=18).map(|century| Century::of(century, fillers)).collect();
    centuries.retain(|century| !century.starts().is_empty());
    let centuries = enough("centuries with one token for the year 01 and for two later ones", centuries, 1);
    Ok(Box::new(GreaterThan { events: events?, centuries: centuries? }))
}

impl Task for GreaterThan {
    fn draw(&self, random: &mut Xoshiro256PlusPlus) -> Draft {
        let event = one_of(random, &self.events);
        let century = one_of(random, &self.centuries);
        let start = *one_of(random, &century.starts());
        let Century { digits, answers, .. } = century;
        let mut draft = Draft::default();
        draft.push(&format!("The {event} lasted from the year {digits}"));
        draft.mark("start_year", &format!("{start:02}"), "01");
        draft.push(&format!(" to the year {digits}"));
        let written = |years: Vec<&u32>| years.into_iter().map(|year| format!("{year:02}")).collect();
        let (later, others) = answers.iter().partition(|year| **year > start);
        (draft.answer, draft.wrong) = (written(later), written(others));
        draft
    }
}
