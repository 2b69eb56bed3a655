#include "selftest.h"

Cases &cases() {
    static Cases all;
    return all;
}

// usage: selftest CASE, or selftest list
int main(int n, char **arguments) {
    std::string name = n == 2 ? arguments[1] : "list";
    if (cases().count(name)) {
        cases()[name]();
        return 0;
    }
    for (auto &c : cases()) puts(c.first.c_str());
    return name == "list" ? 0 : 2;
}
