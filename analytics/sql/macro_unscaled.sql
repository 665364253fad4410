-- The integer of a two's-complement big-endian number of at most 15 bytes, as Connect writes a decimal.
create or replace temp macro _unscaled(bytes) as
  list_reduce(
    list_prepend(0::hugeint, list_transform(
      range(octet_length(bytes)),
      lambda i: ('0x' || substr(hex(bytes), 2 * i + 1, 2))::integer::hugeint)),
    lambda sum, byte: sum * 256 + byte)
  - case when ascii(hex(bytes)) >= ascii('8') then 1::hugeint << (8 * octet_length(bytes))::integer else 0 end
