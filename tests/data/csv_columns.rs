//! What a column of a CSV file is taken for.

use deltarule::data::csv::{Csv, Encoding, Missing};
use deltarule::data::{Dataset, ReadError};

fn read(csv: &Csv, text: &str) -> Result<Dataset<f64>, String> {
    csv.read(text.as_bytes()).map_err(|error: ReadError| error.to_string())
}

#[test]
fn what_was_stated_is_not_missing() {
    let continents = "x,c,y\n1,EU,2\n2,NA,3\n";
    for missing in [Missing::Error, Missing::DropRow, Missing::Mean, Missing::Constant(-1.0)] {
        let csv = Csv::regression("y").missing(missing);
        let csv = csv.categories("c", Encoding::OneHot, ["EU", "NA"]);
        let data = read(&csv, continents).unwrap();
        assert_eq!(data.feature_names(), ["x", "c=EU", "c=NA"], "{missing:?}");
        assert_eq!(data.features(), [1.0, 1.0, 0.0, 2.0, 0.0, 1.0]);
        let schema = csv.learn(continents.as_bytes()).unwrap();
        let scored = schema.read_features::<f64>("c,x\nNA,3\n".as_bytes()).unwrap();
        assert_eq!(scored, [3.0, 0.0, 1.0]);
        let single = schema.features_of::<f64>(|name| Some(if name == "c" { "NA" } else { "3" }));
        assert_eq!(single.unwrap(), scored);

        let csv = Csv::classification("c").missing(missing).skip("y");
        let csv = csv.categories("c", Encoding::Index, ["NA", "EU"]);
        assert_eq!(read(&csv, continents).unwrap().labels(), [1, 0], "{missing:?}");
        // In another column it is missing nevertheless, and so it is where nothing was stated.
        let other = continents.replace("2,NA", "NA,NA");
        match missing {
            Missing::Error => assert!(read(&csv, &other).is_err()),
            Missing::DropRow => assert_eq!(read(&csv, &other).unwrap().labels(), [1]),
            _ => assert_eq!(read(&csv, &other).unwrap().labels(), [1, 0]),
        }
        let dropped = read(&Csv::classification("c").missing(Missing::DropRow), continents);
        assert_eq!(dropped.unwrap().class_names(), ["EU"]);
    }
    // Categories of a target of numbers mean nothing.
    let csv = Csv::regression("y").categories("y", Encoding::Index, ["NA", "2"]);
    let error = read(&csv, "x,y\n1,NA\n1,2\n").unwrap_err();
    assert_eq!(error, "line 2, column `y`: `NA` is a missing target");
}
