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

#[test]
fn whatever_pandas_takes_for_missing() {
    let names = [
        "", "#N/A", "#N/A N/A", "#NA", "-1.#IND", "-1.#QNAN", "-NaN", "-nan", "1.#IND", "1.#QNAN",
        "<NA>", "N/A", "NA", "NULL", "NaN", "None", "n/a", "nan", "null", "?", "NAN",
    ];
    for name in names {
        let file = format!("x,k,y\n1,a,2\n{name},b,3\n3,{name},4\n");
        let data = read(&Csv::regression("y").missing(Missing::Mean), &file).unwrap();
        assert_eq!(data.feature_names(), ["x", "k=a", "k=b", "k="], "{name}");
        assert_eq!(data.features()[4..], [2.0, 0.0, 1.0, 0.0, 3.0, 0.0, 0.0, 1.0]);
    }
    let file = "k,y\n-,2\nnone,3\nna,4\n";
    let data = read(&Csv::regression("y").missing(Missing::DropRow), file).unwrap();
    assert_eq!(data.feature_names(), ["k=-", "k=na", "k=none"]);
}

#[test]
fn numbers_with_a_word_among_them() {
    let file = |different: usize, words: &str| {
        let rows = (0..90).map(|row| format!("{},1\n", row % different));
        format!("x,y\n{}{words}", rows.collect::<String>())
    };
    let ten_words = "1O,1\ninf,1\n".repeat(5);
    let csv = Csv::regression("y");
    let error = read(&csv, &file(11, &ten_words)).unwrap_err();
    assert_eq!(
        error,
        "column `x` has 90 numbers, but `1O` in line 92 is none: `Csv::number` refuses such \
         fields, `Csv::one_hot` or `Csv::index` takes all of them for categories, and \
         `Csv::missing_names` can have them be missing"
    );
    // What is missing is no word, and many categories are no way out.
    let few = csv.clone().missing(Missing::Mean).max_categories(5);
    assert_eq!(read(&few, &(file(11, &ten_words) + "NA,1\n")).unwrap_err(), error);
    // What it advises.
    let same = file(11, &ten_words);
    let refused = read(&csv.clone().number("x"), &same).unwrap_err();
    assert_eq!(refused, "line 92, column `x`: `1O` is no finite number");
    assert_eq!(read(&csv.clone().one_hot("x"), &same).unwrap().columns(), 13);
    assert_eq!(read(&csv.clone().index("x"), &same).unwrap().columns(), 1);
    let missing = csv.clone().missing(Missing::DropRow).missing_names(["1O", "inf"]);
    assert_eq!(read(&missing, &same).unwrap().rows(), 90);
    // Categories: more words, or fewer different fields, or classes to be predicted.
    assert_eq!(read(&csv, &file(11, &(ten_words.clone() + "l,1\n"))).unwrap().columns(), 14);
    assert_eq!(read(&csv, &file(8, &ten_words)).unwrap().columns(), 10);
    let classes = Csv::classification("x");
    assert_eq!(read(&classes, &same).unwrap().class_names().len(), 13);
}

#[test]
fn delimiters_at_the_ends_of_lines() {
    let file = "x,y,\n1,2,\n3,4,NA\n";
    let hint = "column `` has no name, and all its fields are missing, as where each line ends \
                with a delimiter: `Csv::skip(\"\")` leaves it out";
    for missing in [Missing::Error, Missing::DropRow, Missing::Mean] {
        let csv = Csv::regression("y").missing(missing);
        assert_eq!(read(&csv, file).unwrap_err(), hint, "{missing:?}");
        assert_eq!(read(&csv.clone().skip(""), file).unwrap().features(), [1.0, 3.0]);
        assert_eq!(read(&csv.one_hot(""), file).is_ok(), missing == Missing::Mean);
    }
    // An index without a name is a column like any other.
    let data = read(&Csv::regression("y"), ",x,y\n0,1,2\n1,3,4\n").unwrap();
    assert_eq!(data.feature_names(), ["", "x"]);
    let none = "`rows` has 0 elements, but at least 1 is needed";
    assert_eq!(read(&Csv::regression("y"), "x,y,\n").unwrap_err(), none);
}
