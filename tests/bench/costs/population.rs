//! Accounts and hooks as a Kazoo has them, and the data directory that the importer makes of them.

use std::fs::File;
use std::io::{BufWriter, Write};
use std::path::Path;

use serde_json::{Value, json};

use super::support::server::command;

/// Gregorian seconds.
const CREATED: u64 = 63_708_640_000;

/// What a data directory is to hold.
#[derive(Default)]
pub struct Population {
    /// The accounts above, the topmost first.
    accounts: Vec<(String, Vec<String>)>,
    hooks: Vec<Value>,
}

impl Population {
    /// An account below another one. Its id.
    pub fn account(&mut self, parent: Option<&str>) -> String {
        let id = format!("{:032x}", spread(self.accounts.len()));
        let mut above = Vec::new();
        if let Some(parent) = parent {
            let (_, tree) = self.accounts.iter().rev().find(|(id, _)| id == parent).unwrap();
            above.clone_from(tree);
            above.push(parent.to_owned());
        }
        self.accounts.push((id.clone(), above));
        id
    }

    pub fn hook(&mut self, account: &str, uri: &str, fields: Value) {
        let number = self.hooks.len();
        let id = format!("{:032x}", spread(number) ^ u128::from(u64::MAX));
        let mut document = json!({
            "_id": id, "_rev": "1-967a00dff5e02add41819138abb3284d", "name": format!("CRM {number}"), "uri": uri,
            "http_verb": "post", "retries": 2, "enabled": true, "format": "form-data", "include_subaccounts": false,
            "include_internal_legs": true, "pvt_account_id": account, "pvt_type": "webhook",
            "pvt_created": CREATED + number as u64, "pvt_modified": CREATED + number as u64,
        });
        document.as_object_mut().unwrap().extend(fields.as_object().unwrap().clone());
        self.hooks.push(json!({"id": id, "doc": document}));
    }

    /// Has `hookswitch import-kazoo` make a data directory of it.
    pub fn import(&self, directory: &Path) {
        let accounts = self.accounts.iter().enumerate().map(|(number, (id, above))| {
            let document = json!({
                "_id": id, "_rev": "1-967a00dff5e02add41819138abb3284d", "name": format!("Customer {number}"),
                "realm": format!("{id}.sip.example.com"), "timezone": "Europe/Berlin", "language": "en-US",
                "pvt_type": "account", "pvt_tree": above, "pvt_created": CREATED, "pvt_enabled": true,
            });
            json!({"id": id, "doc": document})
        });
        let dumps = [directory.join("accounts.json"), directory.join("webhooks.json")];
        write_dump(&dumps[0], accounts);
        write_dump(&dumps[1], self.hooks.iter().cloned());
        let imported = command(directory).arg("import-kazoo").args(&dumps).output().unwrap();
        let told = [imported.stdout, imported.stderr].concat();
        let told = String::from_utf8_lossy(&told);
        assert!(imported.status.success(), "{told}");
        let expected =
            [format!("accounts: {} imported", self.accounts.len()), format!("hooks: {} imported", self.hooks.len())];
        assert!(expected.iter().all(|line| told.contains(line)), "{told}");
        dumps.iter().for_each(|dump| std::fs::remove_file(dump).unwrap());
    }
}

/// Ids that look as random ones do, and differ.
fn spread(number: usize) -> u128 {
    (number as u128 + 1).wrapping_mul(0x9e37_79b9_7f4a_7c15_f39c_c060_5ced_c835)
}

fn write_dump(path: &Path, rows: impl Iterator<Item = Value>) {
    let mut file = BufWriter::new(File::create(path).unwrap());
    write!(file, r#"{{"total_rows":0,"offset":0,"rows":["#).unwrap();
    for (number, row) in rows.enumerate() {
        let separator = if number == 0 { "\n" } else { ",\n" };
        write!(file, "{separator}{row}").unwrap();
    }
    writeln!(file, "\n]}}").unwrap();
    file.flush().unwrap();
}
