//! Indirect objects: two people are named, one of them again; the other one is given something.

use rand_xoshiro::Xoshiro256PlusPlus;

use super::Fallible;
use super::draft::{Draft, Task, one_of, parts};
use super::fillers::Fillers;

const TEMPLATES: [&str; 8] = [
    "After {first} and {second} had walked home from the {place}, {again} handed the {object} to",
    "While {first} and {second} were waiting near the {place}, {again} showed the {object} to",
    "Last night {first} and {second} met at the {place}, and {again} lent the {object} to",
    "On the way to the {place}, {first} and {second} stopped, and {again} passed the {object} to",
    "Once {first} and {second} had left the {place}, {again} returned the {object} to",
    "Because {first} and {second} were alone in the {place}, {again} sold the {object} to",
    "At noon {first} and {second} sat down behind the {place}, where {again} gave the {object} to",
    "Before {first} and {second} said goodbye at the {place}, {again} promised the {object} to",
];

const NAMES: [&str; 44] = [
    "Mary", "John", "Anna", "Peter", "Laura", "Paul", "Emma", "David", "Sarah", "Mark", "Julia", "James",
    "Alice", "Simon", "Lisa", "Tom", "Kate", "Robert", "Helen", "Jack", "Maria", "Henry", "Lucy", "George",
    "Clara", "Martin", "Rose", "Frank", "Jane", "Daniel", "Susan", "Adam", "Linda", "Kevin", "Amy", "Brian",
    "Rachel", "Steven", "Nicole", "Andrew", "Karen", "Michael", "Diana", "Thomas",
];

const PLACES: [&str; 18] = [
    "school", "market", "station", "church", "library", "garden", "bridge", "beach", "office", "hospital",
    "museum", "park", "store", "river", "theatre", "harbor", "farm", "airport",
];

const OBJECTS: [&str; 18] = [
    "book", "letter", "ring", "key", "map", "camera", "ticket", "coat", "basket", "bottle", "picture",
    "guitar", "watch", "lamp", "bag", "knife", "radio", "ball",
];

struct Ioi {
    names: Vec<&'static str>,
    places: Vec<&'static str>,
    objects: Vec<&'static str>,
}

/// The task with the words that the tokenizer has.
pub(crate) fn task(fillers: &mut Fillers<'_>) -> Fallible<Box<dyn Task>> {
    let names = fillers.keep("names", &NAMES, |name| vec![name], 4);
    let places = fillers.keep("places", &PLACES, |place| vec![place], 2);
    let objects = fillers.keep("objects", &OBJECTS, |object| vec![object], 2);
    Ok(Box::new(Ioi { names: names?, places: places?, objects: objects? }))
}

impl Task for Ioi {
    fn draw(&self, random: &mut Xoshiro256PlusPlus) -> Draft {
        let template = one_of(random, &TEMPLATES);
        let (place, object) = (one_of(random, &self.places), one_of(random, &self.objects));
        let subject = *one_of(random, &self.names);
        let indirect = loop {
            let name = *one_of(random, &self.names);
            if name != subject {
                break name;
            }
        };
        // ABBA: the subject is named second; BABA: first.
        let subject_is_second = *one_of(random, &[true, false]);
        let mut draft = Draft::default();
        for (text, slot) in parts(template) {
            draft.push(text);
            match slot {
                "again" => draft.mark("subject_again", subject, indirect),
                "place" => draft.push(place),
                "object" => draft.push(object),
                "first" | "second" if (slot == "second") == subject_is_second => {
                    draft.mark("subject", subject, subject);
                }
                "first" | "second" => draft.mark("indirect_object", indirect, indirect),
                _ => {}
            }
        }
        draft.answer = vec![format!(" {indirect}")];
        draft.wrong = vec![format!(" {subject}")];
        draft
    }
}
