//! Holds what a payload makes a type take to a bound.
//!
//! A byte can claim much more than a byte: `None` is one, and takes 24 in a `Vec<Option<String>>`. How large an element is
//! the format does not know, but serde does, where it asks for the next one. So every element of a list, and every entry of
//! a map, is paid for before it is read, from what the whole payload may take; what has a fixed number of parts is paid for
//! with its place. Text and bytes are as long as they are on the wire.

use serde::de::{
    Deserialize, DeserializeSeed, Deserializer, EnumAccess, Error, MapAccess, SeqAccess, VariantAccess,
    Visitor,
};
use std::{cell::Cell, fmt};

use super::DECODE_BYTES_MAX;

/// A value whose elements take at most [`DECODE_BYTES_MAX`] together, in any format: to be decoded in place of `T`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Bounded<T>(pub T);

impl<'de, T: Deserialize<'de>> Deserialize<'de> for Bounded<T> {
    #[inline]
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let left = Cell::new(DECODE_BYTES_MAX);
        T::deserialize(Paid { inner: deserializer, left: &left, is_open: false }).map(Bounded)
    }
}

/// A part of serde that pays for what comes through it.
struct Paid<'b, T> {
    inner: T,
    /// Bytes that elements may still take.
    left: &'b Cell<usize>,
    /// Whether as many elements come as the bytes say: of a list or a map.
    is_open: bool,
}

impl<'b, T> Paid<'b, T> {
    #[inline]
    fn of<U>(&self, inner: U) -> Paid<'b, U> {
        Paid { inner, left: self.left, is_open: false }
    }

    #[inline]
    fn pay<V, E: Error>(&self) -> Result<(), E> {
        if !self.is_open {
            return Ok(());
        }
        match self.left.get().checked_sub(size_of::<V>()) {
            Some(left) => {
                self.left.set(left);
                Ok(())
            }
            None => Err(too_much()),
        }
    }
}

#[cold]
fn too_much<E: Error>() -> E {
    E::custom(format_args!("its elements take more than {DECODE_BYTES_MAX} bytes"))
}

macro_rules! passes_to_the_format {
    ($($method:ident ( $($arg:ident : $type:ty),* ) $is_open:literal),+ $(,)?) => {$(
        #[inline]
        fn $method<V: Visitor<'de>>(self, $($arg: $type,)* visitor: V) -> Result<V::Value, D::Error> {
            self.inner.$method($($arg,)* Paid { inner: visitor, left: self.left, is_open: $is_open })
        }
    )+};
}

impl<'de, D: Deserializer<'de>> Deserializer<'de> for Paid<'_, D> {
    type Error = D::Error;

    passes_to_the_format! {
        deserialize_any() true, deserialize_bool() false, deserialize_i8() false, deserialize_i16() false,
        deserialize_i32() false, deserialize_i64() false, deserialize_i128() false, deserialize_u8() false,
        deserialize_u16() false, deserialize_u32() false, deserialize_u64() false, deserialize_u128() false,
        deserialize_f32() false, deserialize_f64() false, deserialize_char() false, deserialize_str() false,
        deserialize_string() false, deserialize_bytes() false, deserialize_byte_buf() false,
        deserialize_option() false, deserialize_unit() false, deserialize_unit_struct(name: &'static str) false,
        deserialize_newtype_struct(name: &'static str) false, deserialize_seq() true,
        deserialize_tuple(len: usize) false, deserialize_tuple_struct(name: &'static str, len: usize) false,
        deserialize_map() true,
        deserialize_struct(name: &'static str, fields: &'static [&'static str]) false,
        deserialize_enum(name: &'static str, variants: &'static [&'static str]) false,
        deserialize_identifier() false, deserialize_ignored_any() false,
    }

    #[inline]
    fn is_human_readable(&self) -> bool {
        self.inner.is_human_readable()
    }
}

macro_rules! passes_to_the_type {
    ($($method:ident($type:ty)),+ $(,)?) => {$(
        #[inline]
        fn $method<E: Error>(self, value: $type) -> Result<V::Value, E> {
            self.inner.$method(value)
        }
    )+};
}

impl<'de, V: Visitor<'de>> Visitor<'de> for Paid<'_, V> {
    type Value = V::Value;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.inner.expecting(f)
    }

    passes_to_the_type! {
        visit_bool(bool), visit_i8(i8), visit_i16(i16), visit_i32(i32), visit_i64(i64), visit_i128(i128),
        visit_u8(u8), visit_u16(u16), visit_u32(u32), visit_u64(u64), visit_u128(u128), visit_f32(f32),
        visit_f64(f64), visit_char(char), visit_str(&str), visit_borrowed_str(&'de str), visit_string(String),
        visit_bytes(&[u8]), visit_borrowed_bytes(&'de [u8]), visit_byte_buf(Vec<u8>),
    }

    #[inline]
    fn visit_none<E: Error>(self) -> Result<V::Value, E> {
        self.inner.visit_none()
    }

    #[inline]
    fn visit_unit<E: Error>(self) -> Result<V::Value, E> {
        self.inner.visit_unit()
    }

    #[inline]
    fn visit_some<D: Deserializer<'de>>(self, deserializer: D) -> Result<V::Value, D::Error> {
        let paid = self.of(deserializer);
        self.inner.visit_some(paid)
    }

    #[inline]
    fn visit_newtype_struct<D: Deserializer<'de>>(self, deserializer: D) -> Result<V::Value, D::Error> {
        let paid = self.of(deserializer);
        self.inner.visit_newtype_struct(paid)
    }

    #[inline]
    fn visit_seq<A: SeqAccess<'de>>(self, access: A) -> Result<V::Value, A::Error> {
        let Paid { inner, left, is_open } = self;
        inner.visit_seq(Paid { inner: access, left, is_open })
    }

    #[inline]
    fn visit_map<A: MapAccess<'de>>(self, access: A) -> Result<V::Value, A::Error> {
        let Paid { inner, left, is_open } = self;
        inner.visit_map(Paid { inner: access, left, is_open })
    }

    #[inline]
    fn visit_enum<A: EnumAccess<'de>>(self, access: A) -> Result<V::Value, A::Error> {
        let paid = self.of(access);
        self.inner.visit_enum(paid)
    }
}

impl<'de, A: SeqAccess<'de>> SeqAccess<'de> for Paid<'_, A> {
    type Error = A::Error;

    #[inline]
    fn next_element_seed<S: DeserializeSeed<'de>>(&mut self, seed: S) -> Result<Option<S::Value>, A::Error> {
        self.pay::<S::Value, A::Error>()?;
        let paid = self.of(seed);
        self.inner.next_element_seed(paid)
    }

    #[inline]
    fn size_hint(&self) -> Option<usize> {
        self.inner.size_hint()
    }
}

impl<'de, A: MapAccess<'de>> MapAccess<'de> for Paid<'_, A> {
    type Error = A::Error;

    #[inline]
    fn next_key_seed<S: DeserializeSeed<'de>>(&mut self, seed: S) -> Result<Option<S::Value>, A::Error> {
        self.pay::<S::Value, A::Error>()?;
        let paid = self.of(seed);
        self.inner.next_key_seed(paid)
    }

    #[inline]
    fn next_value_seed<S: DeserializeSeed<'de>>(&mut self, seed: S) -> Result<S::Value, A::Error> {
        self.pay::<S::Value, A::Error>()?;
        let paid = self.of(seed);
        self.inner.next_value_seed(paid)
    }

    #[inline]
    fn size_hint(&self) -> Option<usize> {
        self.inner.size_hint()
    }
}

impl<'de, S: DeserializeSeed<'de>> DeserializeSeed<'de> for Paid<'_, S> {
    type Value = S::Value;

    #[inline]
    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<S::Value, D::Error> {
        let paid = self.of(deserializer);
        self.inner.deserialize(paid)
    }
}

impl<'de, 'b, A: EnumAccess<'de>> EnumAccess<'de> for Paid<'b, A> {
    type Error = A::Error;
    type Variant = Paid<'b, A::Variant>;

    #[inline]
    fn variant_seed<S: DeserializeSeed<'de>>(self, seed: S) -> Result<(S::Value, Self::Variant), A::Error> {
        let left = self.left;
        let paid = self.of(seed);
        let (value, variant) = self.inner.variant_seed(paid)?;
        Ok((value, Paid { inner: variant, left, is_open: false }))
    }
}

impl<'de, A: VariantAccess<'de>> VariantAccess<'de> for Paid<'_, A> {
    type Error = A::Error;

    #[inline]
    fn unit_variant(self) -> Result<(), A::Error> {
        self.inner.unit_variant()
    }

    #[inline]
    fn newtype_variant_seed<S: DeserializeSeed<'de>>(self, seed: S) -> Result<S::Value, A::Error> {
        let paid = self.of(seed);
        self.inner.newtype_variant_seed(paid)
    }

    #[inline]
    fn tuple_variant<V: Visitor<'de>>(self, len: usize, visitor: V) -> Result<V::Value, A::Error> {
        let paid = self.of(visitor);
        self.inner.tuple_variant(len, paid)
    }

    #[inline]
    fn struct_variant<V: Visitor<'de>>(
        self,
        fields: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, A::Error> {
        let paid = self.of(visitor);
        self.inner.struct_variant(fields, paid)
    }
}
