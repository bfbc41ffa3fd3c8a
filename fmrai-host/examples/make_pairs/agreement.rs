//! Number agreement: the verb agrees with its subject, whatever the noun that stands nearer to it is.

use rand_xoshiro::Xoshiro256PlusPlus;

use super::Fallible;
use super::draft::{Draft, Task, one_of, parts};
use super::fillers::Fillers;

const TEMPLATES: [&str; 8] = [
    "The {subject} near the {other}",
    "The {subject} behind the {other}",
    "Every morning the {subject} beside the {other}",
    "I was told that the {subject} next to the {other}",
    "Nobody asked why the {subject} in front of the {other}",
    "As far as we know, the {subject} close to the {other}",
    "She wrote that the {subject} opposite the {other}",
    "In the old story, the {subject} above the {other}",
];

/// A word for one and for several.
type Forms = (&'static str, &'static str);

const NOUNS: [Forms; 30] = [
    ("teacher", "teachers"),
    ("doctor", "doctors"),
    ("farmer", "farmers"),
    ("student", "students"),
    ("soldier", "soldiers"),
    ("worker", "workers"),
    ("brother", "brothers"),
    ("friend", "friends"),
    ("dog", "dogs"),
    ("cat", "cats"),
    ("horse", "horses"),
    ("bird", "birds"),
    ("house", "houses"),
    ("car", "cars"),
    ("boat", "boats"),
    ("tree", "trees"),
    ("door", "doors"),
    ("window", "windows"),
    ("table", "tables"),
    ("chair", "chairs"),
    ("book", "books"),
    ("letter", "letters"),
    ("picture", "pictures"),
    ("box", "boxes"),
    ("road", "roads"),
    ("river", "rivers"),
    ("bridge", "bridges"),
    ("tower", "towers"),
    ("garden", "gardens"),
    ("hill", "hills"),
];

const VERBS: [Forms; 4] = [("is", "are"), ("was", "were"), ("has", "have"), ("does", "do")];

struct Agreement {
    nouns: Vec<Forms>,
    verbs: Vec<Forms>,
}

/// The task with the words that the tokenizer has.
pub(crate) fn task(fillers: &mut Fillers<'_>) -> Fallible<Box<dyn Task>> {
    let forms = |(one, several): &Forms| vec![*one, *several];
    let nouns = fillers.keep("nouns", &NOUNS, forms, 3);
    let verbs = fillers.keep("verbs", &VERBS, forms, 1);
    Ok(Box::new(Agreement { nouns: nouns?, verbs: verbs? }))
}

impl Task for Agreement {
    fn draw(&self, random: &mut Xoshiro256PlusPlus) -> Draft {
        let subject = *one_of(random, &self.nouns);
        let other = loop {
            let other = *one_of(random, &self.nouns);
            if other != subject {
                break *one_of(random, &[other.0, other.1]);
            }
        };
        let singular = *one_of(random, &[true, false]);
        let of = |(one, several): Forms| if singular { (one, several) } else { (several, one) };
        let mut draft = Draft::default();
        let template = one_of(random, &TEMPLATES);
        for (text, slot) in parts(template) {
            draft.push(text);
            match slot {
                "subject" => draft.mark("subject", of(subject).0, of(subject).1),
                "other" => draft.mark("distractor", other, other),
                _ => {}
            }
        }
        for (right, wrong) in self.verbs.iter().copied().map(of) {
            draft.answer.push(format!(" {right}"));
            draft.wrong.push(format!(" {wrong}"));
        }
        draft
    }
}
