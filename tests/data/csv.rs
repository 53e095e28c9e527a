//! CSV files.

use deltarule::data::csv::{Column, ColumnKind, Csv, Encoding, Missing, Target, Unknown};
use deltarule::data::{Dataset, Prefetch, ReadError, Scaling};
use deltarule::{Activation, Categorical, Loss, Network, Optimizer, Predictor, Trainer};
use flate2::{Compression, write::GzEncoder};
use std::io::Write;

const TABLE: &str = "\
id,size,colour,grade,price
a,1.5,red,10,100
b,2.5,blue,9,200
c,NA,red,10,300
d,3.5,,8,400

";

/// What is said of a missing field.
const MISSING: &str = "is missing: `Csv::missing` can drop its row or put something in its place";

fn csv() -> Csv {
    Csv::regression("price").skip("id").index("grade")
}

fn read(csv: &Csv, text: &str) -> Result<Dataset<f64>, ReadError> {
    csv.read(text.as_bytes())
}

fn error(csv: &Csv, text: &str) -> String {
    read(csv, text).unwrap_err().to_string()
}

#[test]
fn every_policy_for_what_is_missing() {
    assert_eq!(error(&csv(), TABLE), format!("line 4, column `size`: `NA` {MISSING}"));
    let dropped = read(&csv().missing(Missing::DropRow), TABLE).unwrap();
    assert_eq!(dropped.feature_names(), ["size", "colour=blue", "colour=red", "grade"]);
    // Grade 8 was in a row that is dropped, so it is no category.
    assert_eq!(dropped.features(), [1.5, 0.0, 1.0, 1.0, 2.5, 1.0, 0.0, 0.0]);
    assert_eq!(dropped.values(), [100.0, 200.0]);
    for (policy, expected) in [(Missing::Mean, 2.5), (Missing::Constant(-1.0), -1.0)] {
        let filled = read(&csv().missing(policy), TABLE).unwrap();
        assert_eq!(filled.feature_names()[1..4], ["colour=blue", "colour=red", "colour="]);
        assert_eq!(
            filled.features()[10..],
            [expected, 0.0, 1.0, 0.0, 2.0, 3.5, 0.0, 0.0, 1.0, 0.0]
        );
        assert_eq!(filled.values(), [100.0, 200.0, 300.0, 400.0]);
    }
    assert!(read(&csv().missing(Missing::Constant(f64::NAN)), TABLE).is_err());
    // What is skipped may be missing.
    let without_id = TABLE.replace("a,1.5", "NA,1.5");
    let dropped = read(&csv().missing(Missing::DropRow), &without_id).unwrap();
    assert_eq!(dropped.values(), [100.0, 200.0]);
    let nothing_there = Csv::regression("y").one_hot("x").missing(Missing::Mean);
    assert_eq!(read(&nothing_there, "x,y\n,2\n").unwrap().feature_names(), ["x="]);
    let other_names = csv().missing_names(["-"]).missing(Missing::Mean);
    // NA is now no way to write a missing number, and so the column has categories.
    assert_eq!(read(&other_names, TABLE).unwrap().feature_names()[3], "size=NA");
}

#[test]
fn classes_are_numbered_in_order() {
    let text = "x,kind\n1,10\n2,9\n3,10\n";
    let data = read(&Csv::classification("kind"), text).unwrap();
    assert_eq!(data.class_names(), ["9", "10"]);
    assert_eq!(data.labels(), [1, 0, 1]);
    let stated = Csv::classification("kind").categories("kind", Encoding::Index, ["10", "9", "8"]);
    let data = read(&stated, text).unwrap();
    assert_eq!((data.labels(), data.outputs()), ([0, 1, 0].as_slice(), 3));
    // A target is not skipped.
    let data = read(&Csv::classification("kind").skip("kind"), text).unwrap();
    assert_eq!(data.class_names(), ["9", "10"]);
    let short = Csv::classification("kind").categories("kind", Encoding::Index, ["10"]);
    assert_eq!(error(&short, text), "line 3, column `kind`: `9` is no known class");
}

#[test]
fn a_schema_reads_other_files_alike() {
    let schema = csv().missing(Missing::Mean).learn(TABLE.as_bytes()).unwrap();
    assert_eq!(schema.features(), 5);
    assert_eq!(
        schema.columns()[4],
        Column { name: "price".to_owned(), kind: ColumnKind::Target(Target::Numbers) }
    );
    assert_eq!(
        schema.to_string(),
        "id: skipped\nsize: numbers\ncolour: 2 categories, OneHot\n\
         grade: 3 categories, Index\nprice: target, numbers"
    );
    let read = |text: &str| schema.read::<f32>(text.as_bytes()).map_err(|e| e.to_string());
    let later = read("id,size,colour,grade,price\nz,,blue,8,0\n").unwrap();
    assert_eq!(later.features(), [2.5, 1.0, 0.0, 0.0, 0.0]);
    assert_eq!(
        read("id,size,colour,grade,price\nz,1,green,8,0\n").unwrap_err(),
        "line 2, column `colour`: `green` is no known category"
    );
    assert_eq!(
        read("id,colour,size,grade,price\n").unwrap_err(),
        "column `size` is needed where the file has `colour`"
    );
    assert_eq!(read("id,size\n").unwrap_err(), "column `colour` is not in the file");
    assert_eq!(
        read("id,size,colour,grade,price,more\n").unwrap_err(),
        "column `more` is not in the schema"
    );
    assert_eq!(
        read("id,size,colour,grade,price\n").unwrap_err(),
        "`rows` has 0 elements, but at least 1 is needed"
    );
}

#[test]
fn a_file_to_be_scored_needs_features_only() {
    let training = "u,id,w,x,colour,v\n1,a,0.5,2,red,10\n3,b,1.5,4,blue,30\n";
    let csv = Csv::regressions(["v", "u"]).weight("w").skip("id");
    let schema = csv.clone().missing(Missing::DropRow).learn(training.as_bytes()).unwrap();
    let read = |text: &str| schema.read_features::<f64>(text.as_bytes()).map_err(|e| e.to_string());
    assert_eq!(read(training).unwrap(), [2.0, 0.0, 1.0, 4.0, 1.0, 0.0]);
    let scored = "colour,other,x\nblue,?,5\nred,?,6\n";
    assert_eq!(read(scored).unwrap(), [5.0, 1.0, 0.0, 6.0, 0.0, 1.0]);
    assert_eq!(read("x,w\n1,2\n").unwrap_err(), "column `colour` is not in the file");
    // No row is dropped without a word.
    let missing = format!("line 3, column `x`: `` {MISSING}");
    assert_eq!(read("x,colour\n1,red\n,red\n").unwrap_err(), missing);
    let unknown = "line 2, column `colour`: `green` is no known category";
    assert_eq!(read("x,colour\n1,green\n").unwrap_err(), unknown);
    let none = "`rows` has 0 elements, but at least 1 is needed";
    assert_eq!(read("x,colour\n").unwrap_err(), none);
    assert!(read("x,colour\n1\n").unwrap_err().starts_with("no valid CSV file: "));
    let filled = csv.missing(Missing::Mean).learn(training.as_bytes()).unwrap();
    let features = filled.read_features::<f64>("x,colour\n,\n".as_bytes()).unwrap();
    assert_eq!(features, [3.0, 0.0, 0.0]);
}

#[test]
fn a_compressed_file_is_read_as_it_was() {
    let compressed = |text: &str| {
        let mut encoder = GzEncoder::new(Vec::new(), Compression::default());
        encoder.write_all(text.as_bytes()).unwrap();
        encoder.finish().unwrap()
    };
    let csv = csv().missing(Missing::Mean);
    let plain = read(&csv, TABLE).unwrap();
    // A file of two parts is one, too.
    let (head, tail) = TABLE.split_at(30);
    let gz = [compressed(head), compressed(tail)].concat();
    let path = std::env::temp_dir().join(format!("deltarule-{}.csv.gz", std::process::id()));
    std::fs::write(&path, &gz).unwrap();
    assert_eq!(csv.open::<f64>(&path).unwrap(), plain);
    std::fs::write(&path, &gz[..gz.len() - 9]).unwrap();
    let error = csv.open::<f64>(&path).unwrap_err();
    assert!(
        matches!(&error, ReadError::InFile { error, .. } if matches!(**error, ReadError::Io(_)))
    );
    assert!(error.to_string().starts_with(&path.display().to_string()), "{error}");
    std::fs::remove_file(&path).unwrap();

    let schema = csv.learn(gz.as_slice()).unwrap();
    assert_eq!(schema, csv.learn(TABLE.as_bytes()).unwrap());
    assert_eq!(schema.read_features::<f64>(gz.as_slice()).unwrap(), plain.features());
    let source = schema.stream(3, std::io::Cursor::new(gz)).unwrap();
    let mut stream = Prefetch::<f64>::new(1, source).unwrap();
    let batch = stream.next_batch().unwrap().unwrap();
    assert_eq!(batch.x(), &plain.features()[..3 * plain.columns()]);
}

#[test]
fn several_targets_and_a_weight() {
    let text = "u,w,x,v\n1,0.5,2,10\n3,1.5,4,30\n5,0,6,50\n";
    let csv = Csv::regressions(["v", "u"]).weight("w");
    let data = read(&csv, text).unwrap();
    assert_eq!((data.outputs(), data.feature_names()), (2, ["x".to_owned()].as_slice()));
    assert_eq!(data.values(), [1.0, 10.0, 3.0, 30.0, 5.0, 50.0]);
    assert_eq!(data.weights(), Some([0.5, 1.5, 0.0].as_slice()));
    let schema = csv.learn(text.as_bytes()).unwrap();
    assert_eq!(schema.target_names().collect::<Vec<_>>(), ["u", "v"]);
    let described = "u: target, numbers\nw: weights\nx: numbers\nv: target, numbers";
    assert_eq!(schema.to_string(), described);
    assert_eq!(schema.features_of::<f64>(|name| (name == "x").then_some("7")).unwrap(), [7.0]);
    let mut stream = Prefetch::<f64>::new(1, schema.stream(2, text.as_bytes()).unwrap()).unwrap();
    let (mut rows, mut weights) = (0, Vec::new());
    while let Some(batch) = stream.next_batch().unwrap() {
        rows += batch.rows();
        weights.extend_from_slice(batch.weighted_targets().weights.unwrap());
        assert_eq!(batch.weighted_targets().targets, batch.targets());
    }
    assert_eq!((rows, weights), (3, vec![0.5, 1.5, 0.0]));

    let missing = "x,w,y\n1,NA,2\n3,0.5,4\n";
    let csv = Csv::classification("y").weight("w");
    assert_eq!(error(&csv, missing), "line 2, column `w`: `NA` is a missing weight");
    let dropped = read(&csv.clone().missing(Missing::DropRow), missing).unwrap();
    assert_eq!((dropped.rows(), dropped.weights()), (1, Some([0.5].as_slice())));
    let words = "x,w,y\n1,heavy,2\n";
    assert_eq!(error(&csv, words), "line 2, column `w`: `heavy` is no finite number");
    let twice = "column `w` is to weigh the rows, and so is `x`";
    assert_eq!(error(&csv.clone().weight("x"), missing), twice);
    let both = "column `y` is to be predicted, and to weigh the rows";
    assert_eq!(error(&Csv::regression("y").weight("y"), missing), both);
    let none = "`targets` has 0 elements, but at least 1 is needed";
    assert_eq!(error(&Csv::regressions::<String>([]), missing), none);
}

#[test]
fn a_stream_has_the_rows_of_the_file() {
    let csv = csv().missing(Missing::DropRow);
    let schema = csv.learn(TABLE.as_bytes()).unwrap();
    let whole = read(&csv, TABLE).unwrap();
    let mut stream = Prefetch::<f64>::new(1, schema.stream(1, TABLE.as_bytes()).unwrap()).unwrap();
    let mut rows = Vec::new();
    while let Some(batch) = stream.next_batch().unwrap() {
        assert_eq!(batch.rows(), 1);
        rows.extend_from_slice(batch.x());
    }
    assert_eq!(rows, whole.features());
    assert!(schema.stream(0, TABLE.as_bytes()).is_err());
    let bad = TABLE.replace("2.5,blue", "big,blue").into_bytes();
    let source = schema.stream(1, std::io::Cursor::new(bad)).unwrap();
    let mut stream = Prefetch::<f32>::new(1, source).unwrap();
    assert!(stream.next_batch().unwrap().is_some());
    assert_eq!(
        stream.next_batch().unwrap_err().to_string(),
        "line 3, column `size`: `big` is no finite number"
    );
}

#[test]
fn fields_that_are_wrong() {
    let regression = Csv::regression("y");
    assert_eq!(
        error(&regression, "x,y\n1,2\n3,many\n"),
        "line 3, column `y`: `many` is no finite number"
    );
    assert_eq!(error(&regression, "x,y\n1,inf\n"), "line 2, column `y`: `inf` is no finite number");
    assert_eq!(
        error(&regression.clone().missing(Missing::Mean), "x,y\n1,2\n1,\n"),
        "line 3, column `y`: `` is a missing target"
    );
    assert_eq!(
        error(&regression.clone().number("x"), "x,y\n1,2\n\"l\nong\",2\n"),
        "line 3, column `x`: `l\nong` is no finite number"
    );
    assert_eq!(
        error(&regression.clone().missing(Missing::Mean).number("x"), "x,y\nNA,2\n"),
        "column `x` has no number to take a mean of"
    );
    assert_eq!(error(&regression, "x,y\n,2\n"), "column `x` has no category");
    let mean = regression.clone().missing(Missing::Mean);
    assert_eq!(
        error(&mean, "x,y\n1e308,1\n1e308,2\n,3\n"),
        "column `x` has numbers whose sum, for a mean, overflows"
    );
    let narrow = |csv: &Csv, text: &str| csv.read::<f32>(text.as_bytes()).unwrap_err().to_string();
    assert_eq!(
        narrow(&regression, "x,y\n1,2\n-4e38,3\n"),
        "line 3, column `x`: `-4e38` is beyond the largest f32"
    );
    assert_eq!(
        narrow(&regression, "x,y\n1,2\n1,1e300\n"),
        "line 3, column `y`: `1e300` is beyond the largest f32"
    );
    assert_eq!(
        narrow(&regression.clone().missing(Missing::Constant(1e300)), "x,y\n1,2\nNA,3\n"),
        "line 3, column `x`: `NA` is beyond the largest f32"
    );
    assert!(read(&regression, "x,y\n1e300,2\n").is_ok()); // in f64
}

#[test]
fn categories_that_were_stated_are_told_apart() {
    let stated = |names: &[&str]| {
        let csv = Csv::regression("y").categories("x", Encoding::OneHot, names.to_vec());
        error(&csv, "x,y\na,1\n")
    };
    assert_eq!(stated(&["a", "b", "a"]), "column `x` has the category `a` twice");
    assert_eq!(stated(&[]), "column `x` has no category");
    let classes = Csv::classification("y").categories("y", Encoding::Index, ["1", "1"]);
    assert_eq!(error(&classes, "x,y\na,1\n"), "column `y` has the category `1` twice");
}

#[test]
fn a_category_that_was_not_there() {
    let header = TABLE.lines().next().unwrap();
    let later = format!("{header}\nz,1,green,7,0\n");
    let read = |csv: Csv| {
        let schema = csv.learn(TABLE.as_bytes()).unwrap();
        schema.read::<f64>(later.as_bytes()).map_err(|error| error.to_string())
    };
    let ignoring = csv().unknown(Unknown::Ignore);
    let filled = ignoring.clone().missing(Missing::Mean);
    // Grades are never missing, but a later one is a category nevertheless, after the others.
    assert_eq!(read(filled.clone()).unwrap().features(), [1.0, 0.0, 0.0, 0.0, 3.0]);
    assert_eq!(
        read(filled.one_hot("grade")).unwrap().features(),
        [1.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0]
    );
    let unfilled = ignoring.clone().missing(Missing::DropRow).one_hot("colour");
    assert_eq!(read(unfilled).unwrap().features(), [1.0, 0.0, 0.0, 2.0]); // grade 8 was dropped
    let index = ignoring.clone().missing(Missing::Mean).index("colour").one_hot("grade");
    assert_eq!(read(index).unwrap().features(), [1.0, 2.0, 0.0, 0.0, 0.0]);
    let colour = "line 2, column `colour`: `green` is no known category";
    assert_eq!(read(csv().missing(Missing::Mean)).unwrap_err(), colour);
    // What is missing is not unknown, and a class not a category.
    let missing = ignoring.missing(Missing::DropRow).learn(TABLE.as_bytes()).unwrap();
    let error = missing.features_of::<f64>(|name| (name != "colour").then_some("10")).unwrap_err();
    assert_eq!(error.to_string(), format!("column `colour`: `` {MISSING}"));
    let classes = Csv::classification("y").unknown(Unknown::Ignore);
    let classes = classes.learn("x,y\n1,a\n2,b\n".as_bytes()).unwrap();
    assert!(classes.read::<f64>("x,y\n1,c\n".as_bytes()).is_err());
}

/// Each policy answers for what it is named for, whatever the training file had.
#[test]
fn what_is_tolerated_when_serving() {
    let training = "site,colour,y\nb,red,1\na,blue,2\n";
    let features = |missing, unknown, row: [Option<&'static str>; 2]| {
        let csv = Csv::regression("y").index("site").missing(missing).unknown(unknown);
        let schema = csv.learn(training.as_bytes()).unwrap();
        let trained = schema.read::<f64>(training.as_bytes()).unwrap();
        assert_eq!(trained.features(), [1.0, 0.0, 1.0, 0.0, 1.0, 0.0]);
        let field = |column: &str| row[usize::from(column == "colour")];
        let single = schema.features_of::<f64>(field).map_err(|error| error.to_string());
        let [site, colour] = row.map(Option::unwrap_or_default);
        let file = format!("site,colour,y\n{site},{colour},3\n");
        let rows = schema.read::<f64>(file.as_bytes()).map_err(|error| error.to_string());
        if missing != Missing::DropRow {
            let rows = rows.map(|rows| rows.features().to_vec());
            let with_line = single.clone().map_err(|error| format!("line 2, {error}"));
            assert_eq!(rows, with_line);
        }
        single
    };
    let (known, new) = ([Some("a"), Some("red")], [Some("c"), Some("green")]);
    let error = |column, value, problem| Err(format!("column `{column}`: `{value}` {problem}"));
    for missing in [Missing::Error, Missing::DropRow, Missing::Mean, Missing::Constant(7.0)] {
        let fills = matches!(missing, Missing::Mean | Missing::Constant(_));
        for unknown in [Unknown::Error, Unknown::Ignore] {
            assert_eq!(features(missing, unknown, known), Ok(vec![0.0, 0.0, 1.0]));
            let none = Ok(vec![2.0, 0.0, 0.0]);
            let expected = match unknown {
                Unknown::Ignore => none.clone(),
                Unknown::Error => error("site", "c", "is no known category"),
            };
            assert_eq!(features(missing, unknown, new), expected);
            let expected = if fills { none } else { error("site", "", MISSING) };
            assert_eq!(features(missing, unknown, [None; 2]), expected);
            let colour = [Some("b"), None];
            let none = Ok(vec![1.0, 0.0, 0.0]);
            let expected = if fills { none } else { error("colour", "", MISSING) };
            assert_eq!(features(missing, unknown, colour), expected);
        }
    }
}

#[test]
fn an_embedding_takes_the_columns_of_indices() {
    let file = "w,shop,x,colour,month,y\n1,b,100,red,7,1\n1,a,300,,9,2\n1,c,200,blue,8,3\n";
    let csv = Csv::regression("y").weight("w").index("shop").index("month");
    let places = |csv: Csv| {
        let schema = csv.learn(file.as_bytes()).unwrap();
        let categoricals = schema.categoricals(|categories| 10 * categories);
        let dimensions = |it: &Categorical| it.dimensions == 10 * it.categories;
        assert!(categoricals.iter().all(dimensions));
        let names = schema.feature_names();
        let place = |it: Categorical| (it.column, names[it.column].clone(), it.categories);
        categoricals.into_iter().map(place).collect::<Vec<_>>()
    };
    let two = |months, shop, month| vec![(0, "shop".into(), shop), (months, "month".into(), month)];
    assert_eq!(places(csv.clone().missing(Missing::DropRow)), two(4, 2, 2));
    let filled = csv.missing(Missing::Mean);
    assert_eq!(places(filled.clone()), two(5, 4, 4));
    assert_eq!(places(filled.clone().one_hot("shop").one_hot("month")), []);

    // Training and serving, with what was never seen.
    let schema = filled.unknown(Unknown::Ignore).learn(file.as_bytes()).unwrap();
    let mut data = schema.read::<f32>(file.as_bytes()).unwrap();
    let categoricals = schema.categoricals(|categories| categories.min(3));
    let scaling = Scaling::standard(data.features(), data.columns()).unwrap();
    let network = Network::builder(schema.features()).embedding(categoricals.clone());
    let network = network.dense(1, Activation::Identity).build().unwrap();
    let mut scaled = data.clone();
    scaled.scale(&scaling).unwrap();
    let error = network.predict(scaled.features()).unwrap_err().to_string();
    assert!(error.ends_with("`Scaling::except` leaves it as it is"), "{error}");
    let scaling = scaling.except(categoricals.iter().map(|it| it.column)).unwrap();
    data.scale(&scaling).unwrap();
    let mut trainer =
        Trainer::builder(network, Loss::MeanSquaredError, Optimizer::sgd(0.1)).build().unwrap();
    trainer.fit(&data).epochs(2).run().unwrap();
    let predictor = Predictor::builder(trainer.network()).scaling(&scaling).build().unwrap();
    let unseen = schema.features_of(|column| (column == "shop").then_some("new")).unwrap();
    assert_eq!(unseen, [3.0, 200.0, 0.0, 0.0, 1.0, 3.0]);
    assert_eq!(predictor.predict(&unseen).unwrap().len(), 1);
}

#[test]
fn a_row_from_elsewhere_has_the_features_of_one_in_the_file() {
    for policy in [Missing::Mean, Missing::Constant(-1.0)] {
        let csv = csv().missing(policy);
        let schema = csv.learn(TABLE.as_bytes()).unwrap();
        let data = read(&csv, TABLE).unwrap();
        let header: Vec<&str> = TABLE.lines().next().unwrap().split(',').collect();
        for (line, features) in TABLE.lines().skip(1).zip(data.features().chunks(schema.features()))
        {
            let field = |column: &str| {
                assert!(column != "price" && column != "id");
                let at = header.iter().position(|name| *name == column).unwrap();
                line.split(',').nth(at).filter(|field| !field.is_empty())
            };
            assert_eq!(schema.features_of::<f64>(field).unwrap(), features);
        }
    }
    let schema = csv().missing(Missing::DropRow).learn(TABLE.as_bytes()).unwrap();
    let problem = |size: Option<&'static str>, colour: &'static str| {
        let field = |column: &str| match column {
            "size" => size,
            "colour" => Some(colour),
            _ => Some("10"),
        };
        schema.features_of::<f32>(field).map_err(|error| error.to_string())
    };
    assert_eq!(problem(Some(" 1.5 "), "red").unwrap(), [1.5, 0.0, 1.0, 1.0]);
    assert_eq!(problem(None, "red").unwrap_err(), format!("column `size`: `` {MISSING}"));
    assert_eq!(problem(Some("NA"), "red").unwrap_err(), format!("column `size`: `NA` {MISSING}"));
    assert_eq!(
        problem(Some("1e39"), "red").unwrap_err(),
        "column `size`: `1e39` is beyond the largest f32"
    );
    assert_eq!(
        problem(Some("1"), "green").unwrap_err(),
        "column `colour`: `green` is no known category"
    );
}

#[test]
fn tables_that_are_wrong() {
    let regression = Csv::regression("y");
    assert_eq!(error(&regression, "a,b\n1,2\n"), "column `y` is not among the file's: a, b");
    assert_eq!(error(&regression, "y,x,x\n1,2,3\n"), "column `x` is in the header twice");
    assert_eq!(
        error(&regression.clone().skip("z"), "x,y\n1,2\n"),
        "column `z` is not among the file's: x, y"
    );
    assert!(error(&regression, "x,y\n1,2\n1,2,3\n").starts_with("no valid CSV file: "));
    assert!(matches!(
        regression.read::<f32>(b"x,y\n1,\xff\n".as_slice()),
        Err(ReadError::Format { format: "CSV", .. })
    ));
    for nothing in ["", "x,y", "x,y\n", "\n\n"] {
        assert!(read(&regression, nothing).is_err(), "{nothing:?}");
    }
    assert_eq!(error(&regression, "y\n1\n"), "`features` has 0 elements, but at least 1 is needed");

    let mut names = String::from("x,y\n");
    for row in 0..30 {
        names += &format!("{row},1\n");
    }
    let few = regression.clone().max_categories(20);
    assert_eq!(read(&few, &names).unwrap().columns(), 1);
    names += "3O,1\n4O,1\n5O,1\n6O,1\n";
    assert_eq!(
        error(&few, &names),
        "column `x` has more than 20 categories; it is no column of numbers because of `3O` in \
         line 32"
    );
    assert_eq!(read(&regression, &names).unwrap().columns(), 34);
    let words = |count: usize| {
        let rows = (0..count).map(|row| format!("w{row},1\n"));
        "x,y\n".to_owned() + &rows.collect::<String>()
    };
    assert_eq!(read(&regression, &words(1000)).unwrap().columns(), 1000);
    assert_eq!(error(&regression, &words(1001)), "column `x` has more than 1000 categories");
}

#[test]
fn other_ways_to_write_a_table() {
    let semicolons = Csv::regression("y").delimiter(b';');
    let data = read(&semicolons, "\u{feff}x; y\r\n 1 ;\"2\"\r\n").unwrap();
    assert_eq!(
        (data.feature_names(), data.features(), data.values()),
        (["x".to_owned()].as_slice(), [1.0].as_slice(), [2.0].as_slice())
    );
    let path = std::env::temp_dir().join(format!("deltarule-{}.csv", std::process::id()));
    std::fs::write(&path, TABLE).unwrap();
    let csv = csv().missing(Missing::DropRow);
    assert_eq!(csv.open::<f64>(&path).unwrap(), read(&csv, TABLE).unwrap());
    let wrong = Csv::regression("y").open::<f64>(&path).unwrap_err();
    let problem = "column `y` is not among the file's: id, size, colour, grade, price";
    assert_eq!(wrong.to_string(), format!("{}: {problem}", path.display()));
    assert!(matches!(wrong, ReadError::InFile { .. }));
    std::fs::remove_file(&path).unwrap();
    assert!(matches!(csv.open::<f64>(&path), Err(ReadError::Open { .. })));
    let directory = std::env::temp_dir();
    let error = csv.open::<f64>(&directory).unwrap_err();
    assert!(matches!(&error, ReadError::Open { path, .. } if *path == directory), "{error}");
}
