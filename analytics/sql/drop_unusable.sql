delete from {changes} where _obj >= {first_obj} and not ({is_usable})
