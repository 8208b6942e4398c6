//! Cells: records of two lines that are written in turn, so that whatever happens while one is written, the other holds what
//! was there before.

use crate::bytes::{put_narrow, u32_at};
use crate::error::Result;
use crate::shared::line::{self, LINE_BYTES, Line};
use crate::shared::line_file::Grown;

/// The bytes of a cell that are free for use: after the number that tells which of the two lines is younger.
pub(crate) const BODY_AT: usize = 4;

/// A file of cells, numbered from 0.
#[derive(Debug)]
pub(crate) struct Cells(Grown);

impl Cells {
    pub(crate) fn new(file: Grown) -> Self {
        Self(file)
    }

    fn halves(&self, number: u32) -> Result<[Option<Line>; 2]> {
        let first = 1 + u64::from(number) * 2;
        let half = |at: u64| -> Result<Option<Line>> {
            let content = line::load(self.0.shared(at)?);
            Ok(line::sound(&content, self.0.address(at)).then_some(content))
        };
        Ok([half(first)?, half(first + 1)?])
    }

    /// The younger of a cell's sound lines; None when it has none.
    pub(crate) fn read(&self, number: u32) -> Result<Option<Line>> {
        Ok(younger(self.halves(number)?).map(|(_, content)| content))
    }

    /// Whether one of a cell's lines holds something that is not sound: what is in the other one may be old.
    pub(crate) fn is_torn(&self, number: u32) -> Result<bool> {
        let first = 1 + u64::from(number) * 2;
        for at in [first, first + 1] {
            let content = line::load(self.0.shared(at)?);
            if content != blank() && !line::sound(&content, self.0.address(at)) {
                return Ok(true);
            }
        }
        Ok(false)
    }

    /// How many cells there are, up to the last one with a sound line.
    pub(crate) fn count(&self) -> Result<u32> {
        let room = u32::try_from(self.0.lines()?.saturating_sub(1) / 2).unwrap_or(u32::MAX);
        for number in (0..room).rev() {
            if self.read(number)?.is_some() {
                return Ok(number + 1);
            }
        }
        Ok(0)
    }

    /// Write a cell; the number in front is filled in.
    pub(crate) fn write(&self, number: u32, mut content: Line) -> Result<()> {
        let (half, next) = match younger(self.halves(number)?) {
            Some((half, old)) => (1 - half, u32_at(&old, 0).wrapping_add(1)),
            None => (0, 1),
        };
        put_narrow::<4>(&mut content, 0, u64::from(next));
        let at = 1 + u64::from(number) * 2 + half;
        self.0.put(at, &mut content)
    }

    pub(crate) fn file(&self) -> &Grown {
        &self.0
    }

    /// Have room for so many cells.
    pub(crate) fn reserve(&self, cells: u32) -> Result<()> {
        self.0.reserve(1 + u64::from(cells) * 2)
    }

    pub(crate) fn flush(&self) -> Result<()> {
        self.0.flush()
    }
}

fn younger(halves: [Option<Line>; 2]) -> Option<(u64, Line)> {
    match halves {
        [Some(first), Some(second)] => {
            let second_is_younger = u32_at(&second, 0).wrapping_sub(u32_at(&first, 0)) < 1 << 31;
            Some(if second_is_younger { (1, second) } else { (0, first) })
        }
        [Some(first), None] => Some((0, first)),
        [None, Some(second)] => Some((1, second)),
        [None, None] => None,
    }
}

/// An empty line to fill.
pub(crate) fn blank() -> Line {
    [0; LINE_BYTES]
}
