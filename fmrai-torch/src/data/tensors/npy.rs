//! The header of `.npy` files, versions 1.0 to 3.0 of the format that NumPy publishes
//! (`numpy.lib.format`): magic, version, length, and a Python dictionary with `descr`, `fortran_order` and `shape`.

use std::io::Read;

use fmrai_core::tensor::DType;

/// Longest header that is read.
const MAX_HEADER: usize = 1 << 20;

/// What the header of a file says.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Header {
    pub(super) dtype: DType,
    pub(super) big_endian: bool,
    /// True where the first axis is the one that lies densest.
    pub(super) fortran: bool,
    pub(super) shape: Vec<usize>,
    /// Bytes before the first element.
    pub(super) start: u64,
}

impl Header {
    /// Reads the header from the start of a file.
    pub(super) fn read(file: &mut impl Read) -> Result<Self, String> {
        let short = |_| "not a .npy file, or a truncated one".to_owned();
        let mut start = [0; 8];
        file.read_exact(&mut start).map_err(short)?;
        if !start.starts_with(b"\x93NUMPY") {
            return Err("not a .npy file".to_owned());
        }
        let (length, prefix) = match start[6] {
            1 => {
                let mut length = [0; 2];
                file.read_exact(&mut length).map_err(short)?;
                (usize::from(u16::from_le_bytes(length)), 10)
            }
            2 | 3 => {
                let mut length = [0; 4];
                file.read_exact(&mut length).map_err(short)?;
                (u32::from_le_bytes(length) as usize, 12)
            }
            other => return Err(format!("version {other}.{} of .npy, valid are 1.0 to 3.0", start[7])),
        };
        if length > MAX_HEADER {
            return Err(format!("its header should have {length} bytes, at most {MAX_HEADER} are read"));
        }
        let mut text = vec![0; length];
        file.read_exact(&mut text).map_err(short)?;
        let text = String::from_utf8_lossy(&text).into_owned();
        Self::parse(&text, (prefix + length) as u64).map_err(|what| format!("broken .npy header: {what}"))
    }

    fn parse(text: &str, start: u64) -> Result<Self, String> {
        let (mut descr, mut fortran, mut shape) = (None, None, None);
        let mut rest = Cursor(text.trim());
        rest.expect("{")?;
        while !rest.skip("}") {
            let key = rest.text()?;
            rest.expect(":")?;
            match key {
                "descr" => {
                    descr = Some(rest.text().map_err(|_| "only plain element types are read".to_owned())?);
                }
                "fortran_order" => fortran = Some(rest.truth()?),
                "shape" => shape = Some(rest.shape()?),
                other => return Err(format!("unknown field {other:?}")),
            }
            if !rest.skip(",") {
                rest.expect("}")?;
                break;
            }
        }
        if !rest.0.is_empty() {
            return Err(format!("text after its end: {:?}", rest.0));
        }
        let descr = descr.ok_or("no field `descr`")?;
        let (order, code) = descr.split_at_checked(1).unwrap_or((descr, ""));
        let dtype = match code {
            "f2" => DType::Float16,
            "f4" => DType::Float32,
            "f8" => DType::Float64,
            "i1" => DType::Int8,
            "i2" => DType::Int16,
            "i4" => DType::Int32,
            "i8" => DType::Int64,
            "u1" => DType::UInt8,
            "b1" => DType::Bool,
            _ => {
                return Err(format!(
                    "elements of type {descr:?}, read are f2, f4, f8, i1, i2, i4, i8, u1 and b1"
                ));
            }
        };
        let big_endian = match order {
            "<" | "|" => false,
            ">" => true,
            "=" => cfg!(target_endian = "big"),
            _ => return Err(format!("byte order of {descr:?}, valid are <, >, | and =")),
        };
        let fortran = fortran.ok_or("no field `fortran_order`")?;
        let shape = shape.ok_or("no field `shape`")?;
        Ok(Self { dtype, big_endian, fortran, shape, start })
    }
}

/// The rest of a Python literal.
struct Cursor<'a>(&'a str);

impl<'a> Cursor<'a> {
    fn skip(&mut self, token: &str) -> bool {
        match self.0.strip_prefix(token) {
            Some(rest) => {
                self.0 = rest.trim_start();
                true
            }
            None => false,
        }
    }

    fn expect(&mut self, token: &str) -> Result<(), String> {
        let found: String = self.0.chars().take(12).collect();
        if self.skip(token) { Ok(()) } else { Err(format!("found {found:?}, needed {token:?}")) }
    }

    fn text(&mut self) -> Result<&'a str, String> {
        for quote in ['\'', '"'] {
            if let Some((text, rest)) = self.0.strip_prefix(quote).and_then(|rest| rest.split_once(quote)) {
                self.0 = rest.trim_start();
                return Ok(text);
            }
        }
        Err(format!("found {:?}, needed a text", self.0.chars().take(12).collect::<String>()))
    }

    fn truth(&mut self) -> Result<bool, String> {
        if self.skip("True") {
            return Ok(true);
        }
        self.expect("False").map(|()| false)
    }

    fn shape(&mut self) -> Result<Vec<usize>, String> {
        self.expect("(")?;
        let mut sizes = Vec::new();
        while !self.skip(")") {
            let digits = self.0.len() - self.0.trim_start_matches(|c: char| c.is_ascii_digit()).len();
            let (size, rest) = self.0.split_at(digits);
            sizes.push(size.parse().map_err(|_| format!("{size:?} is no size of an axis"))?);
            // Python 2 wrote long integers as `3L`.
            self.0 = rest.strip_prefix('L').unwrap_or(rest).trim_start();
            if !self.skip(",") {
                self.expect(")")?;
                break;
            }
        }
        Ok(sizes)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn file(version: u8, dictionary: &str) -> Vec<u8> {
        let length = dictionary.len();
        let length = match version {
            1 => u16::try_from(length).unwrap().to_le_bytes().to_vec(),
            _ => u32::try_from(length).unwrap().to_le_bytes().to_vec(),
        };
        [b"\x93NUMPY", &[version, 0][..], &length, dictionary.as_bytes()].concat()
    }

    #[test]
    fn headers_of_all_versions() {
        let text = "{'descr': '>f4', 'fortran_order': True, 'shape': (3, 4), }   \n";
        for (version, prefix) in [(1, 10), (2, 12), (3, 12)] {
            let header = Header::read(&mut file(version, text).as_slice()).unwrap();
            let start = prefix + text.len() as u64;
            let expected =
                Header { dtype: DType::Float32, big_endian: true, fortran: true, shape: vec![3, 4], start };
            assert_eq!(header, expected);
        }
        for (shape, sizes) in [("()", vec![]), ("(5,)", vec![5]), ("(0, 2L)", vec![0, 2])] {
            let text = format!("{{\"shape\": {shape}, 'fortran_order': False, 'descr': '|b1'}}");
            assert_eq!(Header::read(&mut file(1, &text).as_slice()).unwrap().shape, sizes);
        }
    }

    #[test]
    fn what_cannot_be_read_is_told() {
        let with = |descr: &str| format!("{{'descr': {descr}, 'fortran_order': False, 'shape': (1,)}}");
        let cases = [
            (with("'<c8'"), "elements of type \"<c8\", read are f2"),
            (with("'|O'"), "elements of type \"|O\""),
            (with("[('a', '<f4')]"), "only plain element types are read"),
            (with("'f4'"), "elements of type \"f4\""),
            ("{'descr': '<f4', 'shape': (1,)}".to_owned(), "no field `fortran_order`"),
            ("{'descr': '<f4', 'x': 1}".to_owned(), "unknown field \"x\""),
            (with("'<f4'") + "x", "text after its end: \"x\""),
            (with("'<f4'").replace("(1,)", "(-1,)"), "\"\" is no size of an axis"),
        ];
        for (text, what) in cases {
            let error = Header::read(&mut file(1, &text).as_slice()).unwrap_err();
            assert!(error.starts_with("broken .npy header: ") && error.contains(what), "{error}");
        }
        assert_eq!(Header::read(&mut &b"PK\x03\x04xxxxxxxx"[..]).unwrap_err(), "not a .npy file");
        assert!(Header::read(&mut file(9, "{}").as_slice()).unwrap_err().contains("valid are 1.0 to 3.0"));
    }

    proptest! {
        #![proptest_config(fmrai_core::property_config!(256))]

        #[test]
        fn any_header_is_read_or_refused(text in "[{}'descr:fotan_shpTue(),0-9<|L \"]{0,60}") {
            let _ = Header::read(&mut file(1, &text).as_slice());
        }
    }
}
