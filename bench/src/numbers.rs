//! Median and spread of a handful of measurements.

/// Repeated measurements of one quantity.
#[derive(Debug, Clone, Default)]
pub(crate) struct Numbers(Vec<f64>);

impl Numbers {
    pub(crate) fn add(&mut self, number: f64) {
        self.0.push(number);
        self.0.sort_by(f64::total_cmp);
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    pub(crate) fn count(&self) -> usize {
        self.0.len()
    }

    pub(crate) fn median(&self) -> f64 {
        self.quantile(0.5)
    }

    /// The smallest number that is at least as large as this share of all numbers.
    pub(crate) fn quantile(&self, share: f64) -> f64 {
        #[expect(
            clippy::cast_possible_truncation,
            clippy::cast_precision_loss,
            clippy::cast_sign_loss,
            reason = "a share of a handful"
        )]
        let at = (self.0.len() as f64 * share).ceil() as usize;
        self.0.get(at.saturating_sub(1)).copied().unwrap_or(f64::NAN)
    }

    pub(crate) fn min(&self) -> f64 {
        self.0.first().copied().unwrap_or(f64::NAN)
    }

    pub(crate) fn max(&self) -> f64 {
        self.0.last().copied().unwrap_or(f64::NAN)
    }
}

impl FromIterator<f64> for Numbers {
    fn from_iter<I: IntoIterator<Item = f64>>(numbers: I) -> Self {
        let mut all: Vec<f64> = numbers.into_iter().collect();
        all.sort_by(f64::total_cmp);
        Self(all)
    }
}

/// A count as a number for calculations.
#[expect(clippy::cast_precision_loss, reason = "counts are far below the precision of a float")]
pub(crate) const fn float(count: u64) -> f64 {
    count as f64
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn quantile_is_one_of_the_numbers() {
        let mut numbers: Numbers = (1..=99).rev().map(f64::from).collect();
        assert_eq!((numbers.median(), numbers.quantile(0.99), numbers.max()), (50.0, 99.0, 99.0));
        numbers.add(0.0);
        assert_eq!((numbers.min(), numbers.median(), numbers.quantile(0.99)), (0.0, 49.0, 98.0));
        assert!(Numbers::default().median().is_nan());
    }
}
