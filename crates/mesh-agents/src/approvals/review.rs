//! Reviews: work that people look at, item by item, before it goes on.

mod staged;

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use mesh_store::{ApprovalId, RunId};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use super::decision::{Decision, Denial, GateError, NotDone};
use super::gate::Gate;
use super::level::Level;
use super::request::{Form, Request};

pub use staged::{NoStages, StageResult, StagedReview};

/// The action that a review is asked for as.
pub const ACTION: &str = "review";

/// Something to be looked at.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Item {
    /// Which one, among those of its review; no two have the same.
    pub id: String,
    /// What sort of thing it is.
    pub category: String,
    /// The thing itself.
    pub content: Value,
    /// What else is known of it.
    #[serde(default)]
    pub metadata: Value,
}

impl Item {
    /// An item with an id of its own, which no other item ever has.
    #[must_use]
    pub fn new(category: impl Into<String>, content: Value) -> Self {
        let id = uuid::Uuid::new_v4().to_string();
        Self { id, category: category.into(), content, metadata: Value::Null }
    }

    /// An id that the caller knows.
    #[must_use]
    pub fn id(mut self, id: impl Into<String>) -> Self {
        self.id = id.into();
        self
    }
}

/// Where an item, or a whole review, stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Verdict {
    /// Nobody has said anything. Nothing goes on.
    Pending,
    /// It goes on as it is.
    Approved,
    /// It does not go on.
    Rejected,
    /// It goes on as it was made by whoever looked at it. Of a review: some items were changed, or left out.
    Modified,
}

/// Items that people are to look at together.
#[derive(Debug, Clone)]
pub struct Review {
    by: String,
    name: String,
    description: String,
    items: Vec<Item>,
    run: Option<RunId>,
    key: Option<String>,
    timeout: Option<Duration>,
    needed: u32,
}

impl Review {
    /// The agent `by` asks for a look at these items; `name` is what people call them.
    #[must_use]
    pub fn new(by: impl Into<String>, name: impl Into<String>, items: Vec<Item>) -> Self {
        Self {
            by: by.into(),
            name: name.into(),
            description: String::new(),
            items,
            run: None,
            key: None,
            timeout: None,
            needed: 1,
        }
    }

    /// What is being looked at, for people.
    #[must_use]
    pub fn description(mut self, text: impl Into<String>) -> Self {
        self.description = text.into();
        self
    }

    /// As [`Request::run`].
    #[must_use]
    pub fn run(mut self, run: RunId) -> Self {
        self.run = Some(run);
        self
    }

    /// As [`Request::key`].
    #[must_use]
    pub fn key(mut self, key: impl Into<String>) -> Self {
        self.key = Some(key.into());
        self
    }

    /// As [`Request::timeout`].
    #[must_use]
    pub fn timeout(mut self, timeout: Duration) -> Self {
        self.timeout = Some(timeout);
        self
    }

    /// As [`Request::quorum`].
    #[must_use]
    pub fn quorum(mut self, needed: u32) -> Self {
        self.needed = needed;
        self
    }

    fn request(&self) -> Result<Request, GateError> {
        let mut ids = BTreeSet::new();
        if let Some(twice) = self.items.iter().find(|item| !ids.insert(&item.id)) {
            return Err(GateError::BadRequest { reason: format!("two items have the id {}", twice.id) });
        }
        let items = self.items.iter().map(|item| Sheet { item: item.clone(), verdict: Verdict::Pending });
        let args = Sheets { name: self.name.clone(), items: items.collect() };
        let args = serde_json::to_value(args).expect("items are JSON");
        let before = args.to_string();
        let mut request = Request::new(&self.by, ACTION, args)
            .description(&self.description)
            .at_least(Level::Review)
            .quorum(self.needed)
            .check(move |edited| check_edit(&before, edited));
        request.form = Form::Review;
        request.run.clone_from(&self.run);
        request.key.clone_from(&self.key);
        request.timeout = self.timeout;
        Ok(request)
    }
}

/// The arguments of a review, as people see and edit them.
#[derive(Debug, Clone, Serialize, Deserialize)]
struct Sheets {
    name: String,
    items: Vec<Sheet>,
}

/// An item with what is said about it.
#[derive(Debug, Clone, Serialize, Deserialize)]
struct Sheet {
    #[serde(flatten)]
    item: Item,
    verdict: Verdict,
}

/// What came of a review.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub struct Reviewed {
    /// The request.
    pub id: ApprovalId,
    /// `Approved`: every item as it was. `Rejected`: none. `Modified`: the rest. It is never `Pending`.
    pub verdict: Verdict,
    /// Every item as it is now, with what was said about it.
    pub items: Vec<(Item, Verdict)>,
    /// Why nothing of it goes on, if nothing does.
    pub denial: Option<Denial>,
}

impl Reviewed {
    /// What goes on: the items that were not rejected, as they are now.
    ///
    /// # Errors
    /// The denial, if nothing goes on.
    pub fn passed(self) -> Result<Vec<Item>, Denial> {
        if let Some(denial) = self.denial {
            return Err(denial);
        }
        let passes = |verdict: &Verdict| matches!(verdict, Verdict::Approved | Verdict::Modified);
        Ok(self.items.into_iter().filter(|(_, verdict)| passes(verdict)).map(|(item, _)| item).collect())
    }
}

impl Gate {
    /// Asks people to look at items, and waits until they have, or the time is over, which rejects them all.
    ///
    /// # Errors
    /// [`GateError`], and then nothing goes on either.
    ///
    /// # Cancel safety
    /// As [`Gate::ask`].
    pub async fn review(&self, review: Review) -> Result<Reviewed, GateError> {
        let decision = self.ask(review.request()?).await?;
        match decision {
            Decision::Approved(permit) => {
                let bad = |error: serde_json::Error| GateError::BadEdit {
                    action: ACTION.to_owned(),
                    reason: error.to_string(),
                };
                let sheets: Sheets = serde_json::from_value(permit.args).map_err(bad)?;
                Ok(reviewed(permit.id, sheets, permit.is_edited, permit.by))
            }
            Decision::Denied(denial) => {
                let items = review.items.into_iter().map(|item| (item, Verdict::Rejected)).collect();
                Ok(Reviewed { id: denial.id, verdict: Verdict::Rejected, items, denial: Some(denial) })
            }
        }
    }

    /// Does something with what passes a review: with the items as people left them, and never with others.
    ///
    /// # Errors
    /// As [`Gate::run`].
    ///
    /// # Cancel safety
    /// As [`Gate::run`].
    pub async fn run_reviewed<T, E, F>(
        &self,
        review: Review,
        act: impl FnOnce(Vec<Item>) -> F,
    ) -> Result<T, NotDone<E>>
    where
        F: Future<Output = Result<T, E>>,
    {
        let reviewed = self.review(review).await.map_err(NotDone::Undecided)?;
        act(reviewed.passed().map_err(NotDone::Denied)?).await.map_err(NotDone::Failed)
    }
}

fn reviewed(id: ApprovalId, sheets: Sheets, is_edited: bool, by: Vec<String>) -> Reviewed {
    // Who approved all of it said nothing of each.
    let verdict_of = |sheet: &Sheet| if is_edited { sheet.verdict } else { Verdict::Approved };
    let items: Vec<(Item, Verdict)> =
        sheets.items.into_iter().map(|sheet| (sheet.item.clone(), verdict_of(&sheet))).collect();
    let all = |wanted: Verdict| items.iter().all(|(_, verdict)| *verdict == wanted);
    let is_rejected = !items.is_empty() && all(Verdict::Rejected);
    let verdict = match () {
        () if is_rejected => Verdict::Rejected,
        () if all(Verdict::Approved) => Verdict::Approved,
        () => Verdict::Modified,
    };
    let denial = is_rejected.then(|| Denial {
        id,
        action: ACTION.to_owned(),
        by: by.first().cloned().unwrap_or_default(),
        reason: "every item was rejected".to_owned(),
        is_expired: false,
    });
    Reviewed { id, verdict, items, denial }
}

/// What is wrong with an edited review: it has each of the items that were asked about, once, with a verdict that fits.
pub(super) fn check_edit(before: &str, edited: &Value) -> Result<(), String> {
    let before: Sheets = serde_json::from_str(before).map_err(|error| error.to_string())?;
    let edited: Sheets = serde_json::from_value(edited.clone()).map_err(|error| error.to_string())?;
    if edited.name != before.name {
        return Err(format!("the review is called {:?}", before.name));
    }
    let asked: BTreeMap<&str, &Item> =
        before.items.iter().map(|sheet| (sheet.item.id.as_str(), &sheet.item)).collect();
    let mut missing = asked.clone();
    for Sheet { item, verdict } in &edited.items {
        let id = item.id.as_str();
        let Some(original) = asked.get(id) else { return Err(format!("there is no item {id:?}")) };
        if missing.remove(id).is_none() {
            return Err(format!("item {id:?} is there twice"));
        }
        match verdict {
            Verdict::Pending => return Err(format!("item {id:?} has no verdict")),
            Verdict::Approved if item != *original => {
                return Err(format!("item {id:?} is changed, so it is \"modified\", not \"approved\""));
            }
            Verdict::Modified if item == *original => {
                return Err(format!("item {id:?} is \"modified\", and is what it was"));
            }
            Verdict::Approved | Verdict::Modified | Verdict::Rejected => {}
        }
    }
    match missing.keys().next() {
        Some(id) => Err(format!("item {id:?} is missing; say \"rejected\" of what is to be left out")),
        None => Ok(()),
    }
}

/// A review's arguments with a verdict on each item, for tests and for who makes edits.
#[must_use]
pub fn edited(name: &str, items: &[(Item, Verdict)]) -> Value {
    let sheets: Vec<Value> = items
        .iter()
        .map(|(item, verdict)| {
            serde_json::to_value(Sheet { item: item.clone(), verdict: *verdict }).expect("items are JSON")
        })
        .collect();
    json!({ "name": name, "items": sheets })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn items() -> [Item; 2] {
        [Item::new("note", json!("one")).id("1"), Item::new("note", json!("two")).id("2")]
    }

    fn checked(edits: &[(Item, Verdict)]) -> Result<(), String> {
        let before = edited("n", &items().map(|item| (item, Verdict::Pending))).to_string();
        check_edit(&before, &edited("n", edits))
    }

    #[test]
    fn an_item_without_a_verdict_does_not_pass() {
        let [one, two] = items();
        assert_eq!(checked(&[(one.clone(), Verdict::Approved), (two.clone(), Verdict::Rejected)]), Ok(()));
        let open = checked(&[(one.clone(), Verdict::Approved), (two, Verdict::Pending)]);
        assert_eq!(open, Err("item \"2\" has no verdict".to_owned()));
        assert!(checked(&[(one, Verdict::Approved)]).unwrap_err().contains("missing"));
    }

    #[test]
    fn an_edit_has_each_item_once_and_says_what_it_did() {
        let [one, two] = items();
        let other = Item { content: json!("uno"), ..one.clone() };
        let with = |first: Item, verdict| checked(&[(first, verdict), (two.clone(), Verdict::Approved)]);
        assert_eq!(with(other.clone(), Verdict::Modified), Ok(()));
        assert!(with(other, Verdict::Approved).is_err(), "changed behind an approval");
        assert!(with(one.clone(), Verdict::Modified).is_err());
        assert!(with(two.clone(), Verdict::Approved).is_err(), "twice");
        assert!(with(one.id("3"), Verdict::Approved).is_err(), "nobody asked about it");
    }

    #[test]
    fn ids_never_collide() {
        let ids: BTreeSet<String> = (0..1000).map(|_| Item::new("note", json!(0)).id).collect();
        assert_eq!(ids.len(), 1000);
        let [one, _] = items();
        let twice = Review::new("ops", "n", vec![one.clone(), one]).request();
        assert!(matches!(twice, Err(GateError::BadRequest { .. })), "{twice:?}");
    }

    #[test]
    fn what_was_rejected_or_changed_makes_it_modified() {
        let [one, two] = items();
        let of = |first, second| {
            let args = edited("n", &[(one.clone(), first), (two.clone(), second)]);
            reviewed(ApprovalId::of("r", "k"), serde_json::from_value(args).unwrap(), true, Vec::new())
        };
        let some = of(Verdict::Approved, Verdict::Rejected);
        assert_eq!(some.verdict, Verdict::Modified);
        assert_eq!(some.passed().unwrap(), [one.clone()]);
        let none = of(Verdict::Rejected, Verdict::Rejected);
        assert_eq!(none.verdict, Verdict::Rejected);
        assert!(none.passed().is_err());
        assert_eq!(of(Verdict::Approved, Verdict::Approved).verdict, Verdict::Approved);
    }
}
