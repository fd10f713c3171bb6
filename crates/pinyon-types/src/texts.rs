//! A list of texts in two allocations, however short they are: as strings of their own they take
//! 40 bytes each and more.

/// Texts in the order in which they were given.
#[derive(Clone, PartialEq, Eq, Default)]
pub struct Texts {
    /// One behind the other.
    joined: Box<str>,
    /// Their lengths: seven bits a byte, the lowest first, with the eighth set where more follow (LEB128).
    lengths: Box<[u8]>,
}

/// Texts while they are collected.
#[derive(Debug, Clone, Default)]
pub struct TextsBuilder {
    joined: String,
    lengths: Vec<u8>,
    count: usize,
}

/// Set in a byte of a length that is not its last.
const MORE: u8 = 0x80;

impl TextsBuilder {
    /// Adds one.
    pub fn push(&mut self, text: &str) {
        self.joined.push_str(text);
        self.count += 1;
        let mut length = text.len();
        while length >= usize::from(MORE) {
            self.lengths.push(length as u8 | MORE);
            length >>= 7;
        }
        self.lengths.push(length as u8);
    }

    /// How many there are.
    pub const fn len(&self) -> usize {
        self.count
    }

    /// Whether there are none.
    pub const fn is_empty(&self) -> bool {
        self.count == 0
    }

    /// Memory that pushing `text` takes, about; none while there is room.
    pub fn growth_bytes(&self, text: &str) -> usize {
        let grows = |used: usize, capacity: usize| if used > capacity { used.max(2 * capacity) } else { 0 };
        grows(self.joined.len() + text.len(), self.joined.capacity())
            + grows(self.lengths.len() + 1, self.lengths.capacity())
    }

    /// All of them.
    pub fn finish(self) -> Texts {
        Texts { joined: self.joined.into(), lengths: self.lengths.into() }
    }
}

impl Texts {
    /// The texts in order.
    pub fn iter(&self) -> impl Iterator<Item = &str> {
        let (mut begin, mut lengths) = (0, self.lengths.iter());
        std::iter::from_fn(move || {
            let end = begin + length(&mut lengths)?;
            self.joined.get(std::mem::replace(&mut begin, end)..end)
        })
    }

    /// How many there are.
    pub fn len(&self) -> usize {
        self.lengths.iter().filter(|byte| **byte < MORE).count()
    }

    /// Whether there are none.
    pub const fn is_empty(&self) -> bool {
        self.lengths.is_empty()
    }

    /// Memory that they take.
    pub const fn memory_bytes(&self) -> usize {
        self.joined.len() + self.lengths.len()
    }
}

fn length<'a>(bytes: &mut impl Iterator<Item = &'a u8>) -> Option<usize> {
    let (mut length, mut shift) = (0, 0);
    loop {
        let byte = *bytes.next()?;
        length |= usize::from(byte & !MORE) << shift;
        shift += 7;
        if byte < MORE {
            return Some(length);
        }
    }
}

impl std::fmt::Debug for Texts {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_list().entries(self.iter()).finish()
    }
}

impl<S: AsRef<str>> FromIterator<S> for Texts {
    fn from_iter<I: IntoIterator<Item = S>>(texts: I) -> Self {
        let mut builder = TextsBuilder::default();
        texts.into_iter().for_each(|text| builder.push(text.as_ref()));
        builder.finish()
    }
}

impl<S: AsRef<str>, const N: usize> From<[S; N]> for Texts {
    fn from(texts: [S; N]) -> Self {
        texts.into_iter().collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn texts_come_back_as_they_were_given() {
        let long = "x".repeat(40_000);
        for given in [
            vec![],
            vec![""],
            vec!["", "é", "", "long enough", "\0"],
            vec!["a"; 1_000],
            vec![&long[..127], &long, &long[..128]],
        ] {
            let texts: Texts = given.iter().collect();
            assert_eq!(texts.iter().collect::<Vec<_>>(), given);
            assert_eq!((texts.len(), texts.is_empty()), (given.len(), given.is_empty()));
            assert_eq!(format!("{texts:?}"), format!("{given:?}"));
        }
        assert!(Texts::from(["ab", "c"]) != Texts::from(["a", "bc"]));
    }

    #[test]
    fn what_a_push_allocates_is_told_before() {
        let (mut builder, mut told) = (TextsBuilder::default(), 0);
        for _ in 0..10_000 {
            told += builder.growth_bytes("ab");
            builder.push("ab");
        }
        let made = builder.joined.capacity() + builder.lengths.capacity();
        assert!(told >= made && told < 3 * made, "{told} told, {made} made");
    }
}
