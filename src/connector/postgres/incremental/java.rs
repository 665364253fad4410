//! `Object[]` in Java's serialization, the form in which the original keeps the keys of an incremental
//! snapshot. Only the classes that keys have there. Source: "Java Object Serialization Specification",
//! chapter 6.

use std::collections::HashMap;

/// An element.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum JavaValue {
    Null,
    Integer(i32),
    Long(i64),
    Boolean(bool),
    Text(String),
    Uuid(u128),
}

const HEADER: [u8; 4] = [0xac, 0xed, 0, 5];
const NULL: u8 = 0x70;
const REFERENCE: u8 = 0x71;
const CLASS: u8 = 0x72;
const OBJECT: u8 = 0x73;
const STRING: u8 = 0x74;
const ARRAY: u8 = 0x75;
const END: u8 = 0x78;
const LONG_STRING: u8 = 0x7c;
const FIRST_HANDLE: u32 = 0x7e_0000;
/// The class has fields and no methods of its own for writing them.
const SERIALIZABLE: u8 = 2;

/// A class: its name, its serial version, its fields, and what it extends.
struct JavaClass {
    name: &'static str,
    version: u64,
    fields: &'static [(u8, &'static str)],
    parent: Option<&'static JavaClass>,
}

const OBJECTS: JavaClass = JavaClass {
    name: "[Ljava.lang.Object;",
    version: 0x90ce_589f_1073_296c,
    fields: &[],
    parent: None,
};
const NUMBER: JavaClass = JavaClass {
    name: "java.lang.Number",
    version: 0x86ac_951d_0b94_e08b,
    fields: &[],
    parent: None,
};
const INTEGER: JavaClass = JavaClass {
    name: "java.lang.Integer",
    version: 0x12e2_a0a4_f781_8738,
    fields: &[(b'I', "value")],
    parent: Some(&NUMBER),
};
const LONG: JavaClass = JavaClass {
    name: "java.lang.Long",
    version: 0x3b8b_e490_cc8f_23df,
    fields: &[(b'J', "value")],
    parent: Some(&NUMBER),
};
const BOOLEAN: JavaClass = JavaClass {
    name: "java.lang.Boolean",
    version: 0xcd20_7280_d59c_faee,
    fields: &[(b'Z', "value")],
    parent: None,
};
const UUID: JavaClass = JavaClass {
    name: "java.util.UUID",
    version: 0xbc99_03f7_986d_852f,
    fields: &[(b'J', "leastSigBits"), (b'J', "mostSigBits")],
    parent: None,
};

/// The array as hex digits; `None` is the null array.
pub(super) fn write(values: Option<&[JavaValue]>) -> String {
    let mut writer = Writer { out: HEADER.to_vec(), handles: HashMap::new(), next: FIRST_HANDLE };
    match values {
        None => writer.out.push(NULL),
        Some(values) => {
            writer.out.push(ARRAY);
            writer.class(&OBJECTS);
            writer.next += 1;
            let length = u32::try_from(values.len()).expect("a key has few columns");
            writer.out.extend(length.to_be_bytes());
            values.iter().for_each(|value| writer.value(value));
        }
    }
    writer.out.iter().map(|byte| format!("{byte:02x}")).collect()
}

struct Writer {
    out: Vec<u8>,
    handles: HashMap<&'static str, u32>,
    next: u32,
}

impl Writer {
    fn class(&mut self, class: &'static JavaClass) {
        if let Some(handle) = self.handles.get(class.name) {
            self.out.push(REFERENCE);
            self.out.extend(handle.to_be_bytes());
            return;
        }
        self.out.push(CLASS);
        self.text(class.name);
        self.out.extend(class.version.to_be_bytes());
        self.handles.insert(class.name, self.next);
        self.next += 1;
        self.out.push(SERIALIZABLE);
        let count = u16::try_from(class.fields.len()).expect("few fields");
        self.out.extend(count.to_be_bytes());
        for (kind, name) in class.fields {
            self.out.push(*kind);
            self.text(name);
        }
        self.out.push(END);
        match class.parent {
            None => self.out.push(NULL),
            Some(parent) => self.class(parent),
        }
    }

    fn object(&mut self, class: &'static JavaClass, data: &[u8]) {
        self.out.push(OBJECT);
        self.class(class);
        self.next += 1;
        self.out.extend_from_slice(data);
    }

    fn value(&mut self, value: &JavaValue) {
        match value {
            JavaValue::Null => self.out.push(NULL),
            JavaValue::Integer(number) => self.object(&INTEGER, &number.to_be_bytes()),
            JavaValue::Long(number) => self.object(&LONG, &number.to_be_bytes()),
            JavaValue::Boolean(value) => self.object(&BOOLEAN, &[u8::from(*value)]),
            JavaValue::Uuid(bits) => {
                let bytes = bits.to_be_bytes();
                let (most, least) = bytes.split_at(8);
                self.object(&UUID, &[least, most].concat());
            }
            JavaValue::Text(text) => {
                self.next += 1;
                match u16::try_from(text.len()) {
                    Ok(_) => {
                        self.out.push(STRING);
                        self.text(text);
                    }
                    Err(_) => {
                        self.out.push(LONG_STRING);
                        self.out.extend((text.len() as u64).to_be_bytes());
                        self.out.extend_from_slice(text.as_bytes());
                    }
                }
            }
        }
    }

    fn text(&mut self, text: &str) {
        let length = u16::try_from(text.len()).expect("the caller looked");
        self.out.extend(length.to_be_bytes());
        self.out.extend_from_slice(text.as_bytes());
    }
}

/// Reads hex digits. `None`: no such array, or one with elements of other classes.
pub(super) fn read(hex: &str) -> Option<Option<Vec<JavaValue>>> {
    let digit = |c: &u8| char::from(*c).to_digit(16).and_then(|digit| u8::try_from(digit).ok());
    let byte = |pair: &[u8]| match pair {
        [high, low] => Some(digit(high)? << 4 | digit(low)?),
        _ => None,
    };
    let bytes: Vec<u8> = hex.as_bytes().chunks(2).map(byte).collect::<Option<_>>()?;
    let mut reader = Reader { rest: bytes.strip_prefix(&HEADER)?, handles: Vec::new() };
    let values = match reader.byte()? {
        NULL => None,
        ARRAY => {
            let class = reader.class(0)??;
            (class == OBJECTS.name).then_some(())?;
            reader.handles.push(Handle::Other);
            let count = u32::from_be_bytes(reader.take()?);
            Some((0..count.min(1600)).map(|_| reader.value()).collect::<Option<_>>()?)
        }
        _ => return None,
    };
    reader.rest.is_empty().then_some(values)
}

#[derive(Debug, Clone)]
enum Handle {
    Class(String),
    Value(JavaValue),
    Other,
}

struct Reader<'a> {
    rest: &'a [u8],
    handles: Vec<Handle>,
}

impl Reader<'_> {
    fn byte(&mut self) -> Option<u8> {
        let (first, rest) = self.rest.split_first()?;
        self.rest = rest;
        Some(*first)
    }

    fn take<const N: usize>(&mut self) -> Option<[u8; N]> {
        let (taken, rest) = self.rest.split_first_chunk::<N>()?;
        self.rest = rest;
        Some(*taken)
    }

    fn text(&mut self, length: usize) -> Option<String> {
        let (text, rest) = self.rest.split_at_checked(length)?;
        self.rest = rest;
        String::from_utf8(text.to_vec()).ok()
    }

    fn short_text(&mut self) -> Option<String> {
        let length = u16::from_be_bytes(self.take()?);
        self.text(length.into())
    }

    fn handle(&mut self) -> Option<Handle> {
        let number = u32::from_be_bytes(self.take()?).checked_sub(FIRST_HANDLE)?;
        self.handles.get(usize::try_from(number).ok()?).cloned()
    }

    /// The name of a class; the inner `None` is none.
    fn class(&mut self, depth: usize) -> Option<Option<String>> {
        (depth < 8).then_some(())?;
        match self.byte()? {
            NULL => Some(None),
            REFERENCE => match self.handle()? {
                Handle::Class(name) => Some(Some(name)),
                _ => None,
            },
            CLASS => {
                let name = self.short_text()?;
                self.take::<8>()?;
                self.handles.push(Handle::Class(name.clone()));
                self.byte()?;
                let fields = u16::from_be_bytes(self.take()?);
                for _ in 0..fields {
                    self.byte()?;
                    self.short_text()?;
                }
                (self.byte()? == END).then_some(())?;
                self.class(depth + 1)?;
                Some(Some(name))
            }
            _ => None,
        }
    }

    fn value(&mut self) -> Option<JavaValue> {
        match self.byte()? {
            NULL => Some(JavaValue::Null),
            REFERENCE => match self.handle()? {
                Handle::Value(value) => Some(value),
                _ => None,
            },
            STRING => {
                let text = JavaValue::Text(self.short_text()?);
                self.handles.push(Handle::Value(text.clone()));
                Some(text)
            }
            LONG_STRING => {
                let length = u64::from_be_bytes(self.take()?);
                let text = JavaValue::Text(self.text(usize::try_from(length).ok()?)?);
                self.handles.push(Handle::Value(text.clone()));
                Some(text)
            }
            OBJECT => {
                let class = self.class(0)??;
                let at = self.handles.len();
                self.handles.push(Handle::Other);
                let value = match class.as_str() {
                    "java.lang.Integer" => JavaValue::Integer(i32::from_be_bytes(self.take()?)),
                    "java.lang.Long" => JavaValue::Long(i64::from_be_bytes(self.take()?)),
                    "java.lang.Boolean" => JavaValue::Boolean(self.byte()? != 0),
                    "java.util.UUID" => {
                        let (least, most) = (self.take::<8>()?, self.take::<8>()?);
                        let bits = |half| u128::from(u64::from_be_bytes(half));
                        JavaValue::Uuid(bits(most) << 64 | bits(least))
                    }
                    _ => return None,
                };
                *self.handles.get_mut(at)? = Handle::Value(value.clone());
                Some(value)
            }
            _ => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn arrays_are_written_as_java_does() {
        // Of the original, and of a JDK.
        let integer = "aced0005757200135b4c6a6176612e6c616e672e4f626a6563743b90ce589f1073296c020000\
                       787000000001737200116a6176612e6c616e672e496e746567657212e2a0a4f781873802000149\
                       000576616c7565787200106a6176612e6c616e672e4e756d62657286ac951d0b94e08b02000078\
                       7000000003";
        assert_eq!(write(Some(&[JavaValue::Integer(3)])), integer);
        assert_eq!(write(None), "aced000570");
        let pair = write(Some(&[JavaValue::Long(1), JavaValue::Text("a".to_owned())]));
        assert!(pair.ends_with("0000000000000001740001 61".replace(' ', "").as_str()), "{pair}");
    }

    #[test]
    fn what_is_written_is_read() {
        let text = |text: &str| JavaValue::Text(text.to_owned());
        for values in [
            vec![],
            vec![JavaValue::Integer(-5), JavaValue::Integer(i32::MAX), JavaValue::Long(i64::MIN)],
            vec![JavaValue::Null, text(""), text("äöü"), text(&"x".repeat(70_000)), text("x")],
            vec![
                JavaValue::Boolean(true),
                JavaValue::Boolean(false),
                JavaValue::Uuid(7 << 100 | 5),
            ],
        ] {
            assert_eq!(read(&write(Some(&values))), Some(Some(values)));
        }
        assert_eq!(read("aced000570"), Some(None));
        for other in ["", "aced0005", "aced00057", "zz", "aced000573", "aced00057070"] {
            assert_eq!(read(other), None, "{other}");
        }
    }

    proptest::proptest! {
        #[test]
        fn anything_is_read_without_a_panic(bytes in proptest::collection::vec(0_u8..=255, 0..60)) {
            let hex: String = bytes.iter().map(|byte| format!("{byte:02x}")).collect();
            read(&hex);
            read(&format!("aced000575{hex}"));
            let begun = write(Some(&[JavaValue::Integer(1)]));
            read(&format!("{}{hex}", begun.get(..100).unwrap_or_default()));
        }
    }
}
