//! Shows secrets, without their values.

use mitosis_protocol::secret::SecretInfo;

use super::record::{Cell, Column, Fact, Record};

impl Record for SecretInfo {
    const TABLE: &'static [Column<Self>] = &[
        Column::new("set", |secret| Cell::Time(secret.set_at)),
        Column::new("by", |secret| Cell::text(&secret.set_by)),
        Column::new("secret", |secret| Cell::text(&secret.name)),
    ];
    const FIELDS: &'static [Column<Self>] = &[
        Column::new("name", |secret| Cell::text(&secret.name)),
        Column::new("set_by", |secret| Cell::text(&secret.set_by)),
        Column::new("set_at", |secret| Cell::Time(secret.set_at)),
    ];

    fn id(&self) -> String {
        self.name.clone()
    }

    fn facts(&self) -> Vec<Fact> {
        vec![
            ("secret", Cell::text(&self.name)),
            ("set by", Cell::text(&self.set_by)),
            ("set", Cell::Time(self.set_at)),
        ]
    }
}
