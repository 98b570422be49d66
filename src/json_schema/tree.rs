//! One JSON text, checked and then found again: a row of slots over the text itself, eight bytes for a key or a value and
//! sixteen for an array or object. Nothing of the text is copied.

use super::text::{self, Number, Quoted};

/// Values and keys that one text may hold. Slots for them take 16 MiB.
pub(super) const MAX_SLOTS: usize = 2 * 1024 * 1024;

/// Keys of an object up to which they are compared one by one. Beyond, they are sorted.
pub(super) const FEW_KEYS: usize = 16;

/// A text and where its values stand.
#[derive(Debug)]
pub(super) struct Tree<'t> {
    pub(super) text: &'t str,
    pub(super) slots: Vec<Slot>,
    /// The slots of keys, sorted by key, of each object that has more than [`FEW_KEYS`].
    pub(super) sorted: Vec<u32>,
}

/// Where a key, a value or the size of a container stands.
///
/// A container takes two: its start and the slot after all that is in it; then how many items or members it has and, for
/// an object, where its keys stand in `sorted`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Slot {
    pub(super) start: u32,
    pub(super) end: u32,
}

/// In the `end` of a string: it has escapes.
pub(super) const ESCAPED: u32 = 1 << 31;
/// An object whose keys are not sorted.
pub(super) const UNSORTED: u32 = u32::MAX;

/// What a value is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    Array,
    Boolean,
    Null,
    Number,
    Object,
    String,
}

/// A value of a tree, or a key: a number of its slot.
pub(super) type At = u32;

/// The value that is the whole text.
pub(super) const ROOT: At = 0;

impl<'t> Tree<'t> {
    fn slot(&self, at: At) -> Slot {
        let slot = usize::try_from(at).ok().and_then(|at| self.slots.get(at));
        slot.copied().unwrap_or(Slot { start: 0, end: 0 })
    }

    fn byte(&self, at: At) -> u8 {
        let start = usize::try_from(self.slot(at).start).ok();
        start.and_then(|start| self.text.as_bytes().get(start)).copied().unwrap_or_default()
    }

    /// Where in the text it starts.
    pub(super) fn offset(&self, at: At) -> usize {
        usize::try_from(self.slot(at).start).unwrap_or(usize::MAX)
    }

    #[inline]
    pub(super) fn kind(&self, at: At) -> Kind {
        match self.byte(at) {
            b'{' => Kind::Object,
            b'[' => Kind::Array,
            b'"' => Kind::String,
            b't' | b'f' => Kind::Boolean,
            b'n' => Kind::Null,
            _ => Kind::Number,
        }
    }

    pub(super) fn boolean(&self, at: At) -> bool {
        self.byte(at) == b't'
    }

    /// The string at `at`, or the key.
    #[inline]
    pub(super) fn quoted(&self, at: At) -> Quoted<'t> {
        let Slot { start, end } = self.slot(at);
        let range = text::range(start.saturating_add(1), end & !ESCAPED);
        Quoted::new(self.text.get(range).unwrap_or_default(), end & ESCAPED != 0)
    }

    #[inline]
    pub(super) fn number(&self, at: At) -> Number<'t> {
        let Slot { start, end } = self.slot(at);
        Number::new(self.text.get(text::range(start, end)).unwrap_or_default())
    }

    /// Items of an array, members of an object.
    #[inline]
    pub(super) fn count(&self, at: At) -> u32 {
        self.slot(at.saturating_add(1)).start
    }

    /// The slot after a value and all that is in it.
    #[inline]
    fn after(&self, at: At) -> At {
        match self.byte(at) {
            b'{' | b'[' => self.slot(at).end,
            _ => at.saturating_add(1),
        }
    }

    /// The items of an array.
    #[inline]
    pub(super) fn items(&self, at: At) -> Items<'_> {
        Items { tree: self, next: at.saturating_add(2), left: self.count(at) }
    }

    /// The members of an object, in their order: keys and values.
    #[inline]
    pub(super) fn members(&self, at: At) -> Members<'_> {
        Members { tree: self, next: at.saturating_add(2), left: self.count(at) }
    }

    /// The value of the member `key`.
    #[inline]
    pub(super) fn member(&self, at: At, key: &str) -> Option<At> {
        let sorted = self.slot(at.saturating_add(1)).end;
        if sorted == UNSORTED {
            let mut members = self.members(at);
            return members.find(|(found, _)| self.quoted(*found).is(key)).map(|(_, value)| value);
        }
        let keys = self.sorted.get(text::range(sorted, sorted.saturating_add(self.count(at))))?;
        let found = keys.binary_search_by(|found| self.quoted(*found).order_to(key)).ok()?;
        Some(keys.get(found)?.saturating_add(1))
    }
}

/// The items of an array.
#[derive(Debug, Clone)]
pub(super) struct Items<'a> {
    tree: &'a Tree<'a>,
    next: At,
    left: u32,
}

impl Iterator for Items<'_> {
    type Item = At;

    #[inline]
    fn next(&mut self) -> Option<At> {
        self.left = self.left.checked_sub(1)?;
        let at = self.next;
        self.next = self.tree.after(at);
        Some(at)
    }
}

/// The members of an object.
#[derive(Debug, Clone)]
pub(super) struct Members<'a> {
    tree: &'a Tree<'a>,
    next: At,
    left: u32,
}

impl Iterator for Members<'_> {
    type Item = (At, At);

    #[inline]
    fn next(&mut self) -> Option<(At, At)> {
        self.left = self.left.checked_sub(1)?;
        let key = self.next;
        let value = key.saturating_add(1);
        self.next = self.tree.after(value);
        Some((key, value))
    }
}
