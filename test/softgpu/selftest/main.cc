#include "selftest.h"

Cases &cases() {
    static Cases all;
    return all;
}

int main(int n, char **arguments) {
    if (n == 2 && cases().count(arguments[1])) {
        cases()[arguments[1]]();
        return 0;
    }
    for (auto &c : cases()) puts(c.first.c_str());
    return n == 1 ? 0 : 2;
}
