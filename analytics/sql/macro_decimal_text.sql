-- The decimal that an integer and a scale make, as text, because no DECIMAL holds all of them.
create or replace temp macro _decimal_text(unscaled, scale) as
  case when unscaled < 0 then '-' else '' end
  || case
       when scale <= 0 then abs(unscaled)::varchar || repeat('0', -scale)
       when length(abs(unscaled)::varchar) <= scale
         then '0.' || lpad(abs(unscaled)::varchar, scale, '0')
       else left(abs(unscaled)::varchar, -scale) || '.' || right(abs(unscaled)::varchar, scale)
     end
