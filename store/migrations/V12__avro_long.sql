-- avro_long(number): encodes the number as an Avro long: zigzag, seven bits a byte, the lowest first.
-- Source: the Avro 1.12 specification, Binary encoding, Primitive Types.
CREATE FUNCTION :log.avro_long(number bigint) RETURNS bytea LANGUAGE plpgsql IMMUTABLE AS $$
DECLARE
    -- without a sign from here on: the first shift takes it away
    rest  bigint := (number << 1) # (number >> 63);
    bytes bytea := '';
BEGIN
    LOOP
        IF rest BETWEEN 0 AND 127 THEN
            RETURN bytes || set_byte('\x00', 0, rest::integer);
        END IF;
        bytes := bytes || set_byte('\x00', 0, (rest & 127)::integer | 128);
        rest := (rest >> 7) & x'01ffffffffffffff'::bigint;
    END LOOP;
END
$$;
