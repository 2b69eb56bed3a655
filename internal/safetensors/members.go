package safetensors

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
)

var errCut = errors.New("unexpected end of JSON input")

// members calls do with each member of the JSON object that text begins with, in order, and returns what follows the
// object. It goes over the text once and takes memory for one key at a time; what lies in a value is not looked at but
// for its end, so that whoever decodes it decides how much of that there may be.
func members(text []byte, do func(key string, value []byte) error) (rest []byte, err error) {
	rest = blank(text)
	if len(rest) == 0 || rest[0] != '{' {
		return nil, errors.New("it does not begin as JSON object")
	}
	if rest = blank(rest[1:]); len(rest) > 0 && rest[0] == '}' {
		return rest[1:], nil
	}
	for {
		n, err := stringEnd(rest)
		if err != nil {
			return nil, err
		}
		key := rest[:n]
		if rest = blank(rest[n:]); len(rest) == 0 || rest[0] != ':' {
			return nil, errors.New("no colon after a key")
		}
		rest = blank(rest[1:])
		if n, err = valueEnd(rest); err != nil {
			return nil, err
		}
		name, err := unquote(key)
		if err != nil {
			return nil, err
		}
		if err := do(name, rest[:n]); err != nil {
			return nil, err
		}
		rest = blank(rest[n:])
		switch {
		case len(rest) == 0:
			return nil, errCut
		case rest[0] == '}':
			return rest[1:], nil
		case rest[0] != ',':
			return nil, fmt.Errorf("%q after a value", rest[0])
		}
		rest = blank(rest[1:])
	}
}

// unquote decodes a JSON string, quotes included.
func unquote(text []byte) (s string, err error) {
	if len(text) == 0 || text[0] != '"' {
		return "", errors.New("not a string")
	}
	return s, json.Unmarshal(text, &s)
}

func blank(text []byte) []byte { return bytes.TrimLeft(text, " \t\r\n") }

// stringEnd is the length of the JSON string that text begins with.
func stringEnd(text []byte) (int, error) {
	if len(text) == 0 {
		return 0, errCut
	}
	if text[0] != '"' {
		return 0, fmt.Errorf("%q where a string begins", text[0])
	}
	for i := 1; i < len(text); i++ {
		switch text[i] {
		case '"':
			return i + 1, nil
		case '\\':
			i++
		}
	}
	return 0, errCut
}

// valueEnd is the length of the JSON value that text begins with.
func valueEnd(text []byte) (int, error) {
	depth := 0
	for i := 0; i < len(text); i++ {
		switch text[i] {
		case '"':
			n, err := stringEnd(text[i:])
			if err != nil {
				return 0, err
			}
			if i += n - 1; depth == 0 {
				return i + 1, nil
			}
		case '{', '[':
			depth++
		case '}', ']':
			if depth == 0 {
				return i, nil // of the object around it, after a number
			}
			if depth--; depth == 0 {
				return i + 1, nil
			}
		case ',':
			if depth == 0 {
				return i, nil
			}
		}
	}
	return 0, errCut
}
